"""A real headless Chromium for tests and benchmarks: WebDriver is a few HTTP calls, so the standard library does.

Nothing can be reached from it: every host name is unknown to it, and its requests are logged.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)
CHROMIUM, DRIVER = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver names an element (W3C WebDriver, section 12)."""
WAIT = 20.0
"""Seconds that something on a page may take to appear."""


class BrowserError(Exception):
    """What the browser refused, in its own words."""


def missing() -> str:
    """Say what is missing to run a browser here, or nothing."""
    absent = [names[0] for names in (CHROMIUM, DRIVER) if not _found(names)]
    return f"not on this machine: {' and '.join(absent)} (apt-get install chromium chromium-driver)" if absent else ""


def _found(names: tuple[str, ...]) -> str:
    return next((path for name in names if (path := shutil.which(name))), "")


class Browser:
    """One window. Use it in a `with`; leaving ends the browser."""

    def __init__(self, width: int = 1280, height: int = 900) -> None:
        self._driver = subprocess.Popen(
            [_found(DRIVER), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._base = f"http://127.0.0.1:{self._port()}"
        options = {"binary": _found(CHROMIUM), "args": [*ARGUMENTS, f"--window-size={width},{height}"]}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._base += f"/session/{session['sessionId']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait()
            if self._driver.stdout:
                self._driver.stdout.close()

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file of this machine anew."""
        self._call("POST", "/url", {"url": "about:blank"})
        self._call("POST", "/url", {"url": path.resolve().as_uri() + fragment})

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page and return what it returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments: object) -> Any:
        """Return the script's first truthy answer; BrowserError after `WAIT` seconds without one."""
        end = monotonic() + WAIT
        while not (answer := self.run(script, *arguments)):
            if monotonic() > end:
                raise BrowserError(f"waited {WAIT} s in vain for: {script}")
            sleep(0.02)
        return answer

    def text(self, css: str) -> str:
        """Return the text of the first element that matches, as a reader sees it."""
        return str(self._call("GET", f"/element/{self._element(css)}/text"))

    def click(self, css: str) -> None:
        """Click the first element that matches, as a mouse would: BrowserError when something covers it."""
        self._call("POST", f"/element/{self._element(css)}/click", {})

    def type(self, css: str, text: str) -> None:
        """Type into the first element that matches."""
        self._call("POST", f"/element/{self._element(css)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys, one after another, on whatever has the focus."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return what the log (`browser` or `performance`) holds since it was last read."""
        entries: list[dict[str, Any]] = self._call("POST", "/se/log", {"type": kind})
        return entries

    def requests(self) -> list[str]:
        """Return the addresses that were requested since the last call, except embedded and blank ones."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("data:", "about:", "blob:"))]

    def tools(self, command: str, **parameters: object) -> Any:
        """Send a command of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width: int, height: int, phone: bool = False) -> None:
        """Set the size of the page in CSS pixels."""
        metrics: dict[str, object] = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.tools("Emulation.setDeviceMetricsOverride", **metrics)

    def prefer(self, scheme: str) -> None:
        """Prefer `light` or `dark`, as the operating system would."""
        self.tools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """Write a PNG of the window."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def _element(self, css: str) -> str:
        element: dict[str, str] = self._call("POST", "/element", {"using": "css selector", "value": css})
        return element[_ELEMENT]

    def _port(self) -> int:
        if self._driver.stdout:
            for line in self._driver.stdout:
                if match := re.search(r"started successfully on port (\d+)", line):
                    return int(match[1])
        raise BrowserError("chromedriver did not start")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data, headers, method=method)
        try:
            with _direct().open(request, timeout=120) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            value = json.loads(error.read())["value"]
            raise BrowserError(f"{value['error']}: {value['message']}") from error


def _direct() -> urllib.request.OpenerDirector:
    """Never through a proxy: the driver is on this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def required() -> bool:
    """Say whether a missing browser is a failure: CI sets this, so that no test is passed over in silence."""
    return os.environ.get("HARNESS_REQUIRE_BROWSER") == "1"
