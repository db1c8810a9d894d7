"""Request bodies and queries as pydantic models, and a validation error as an error in OpenAI's shape.

A model declares every key that OpenAI documents for its endpoint: those that the server uses, labels that decide
nothing, and parameters that are not supported, which may only have a value that changes nothing. Any other key is
refused, because an ignored parameter would be an answer to another question. A key with the value null counts as
absent, as at OpenAI. Bounds that are settings of the server come from the `Limits` in the validation context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError, PydanticKnownError
from starlette.requests import Request

from harness.server.errors import ApiError, invalid
from harness.server.settings import Limits


class RequestModel(BaseModel):
    """A JSON object in a request: values are not converted, and undeclared keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: value for key, value in values.items() if value is not None}


Model = TypeVar("Model", bound=RequestModel)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError(
            "surrogate", "has half a surrogate pair at character {n}", {"n": error.start + 1}
        ) from None
    return text


def unsupported(*neutral: object) -> BeforeValidator:
    """Return a validator that refuses, as not supported here, every value but these, which change nothing."""

    def check(value: object) -> object:
        if not any(type(value) is type(allowed) and value == allowed for allowed in neutral):
            raise PydanticCustomError("unsupported_parameter", "is not supported here. Leave it out.")
        return value

    return BeforeValidator(check)


def limited(name: str) -> AfterValidator:
    """Return a validator that holds a number, or the length of a list, to a field of `Limits`."""

    def check(value: Any, info: ValidationInfo) -> Any:
        most: int = getattr(info.context, name)
        if isinstance(value, list) and len(value) > most:
            raise PydanticKnownError(
                "too_long", {"field_type": "List", "max_length": most, "actual_length": len(value)}
            )
        if isinstance(value, int) and value > most:
            raise PydanticKnownError("less_than_equal", {"le": most})
        return value

    return AfterValidator(check)


def _as_list(value: object) -> object:
    if not isinstance(value, str | list):
        raise PydanticCustomError("text_or_list", "Input should be a text or a list of texts")
    return [value] if isinstance(value, str) else value


one_or_more = BeforeValidator(_as_list)
"""For a key that takes a text or a list of texts: a text becomes a list of one."""
encodable = AfterValidator(_encodable)
Text = Annotated[str, encodable]
"""A text that a tokenizer can read."""
Name = Annotated[str, Field(min_length=1)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""Labels in OpenAI's bounds."""


async def read(request: Request, model: type[Model], limits: Limits) -> Model:
    """Return the body of a request as an instance of `model`; ApiError says what is wrong with it."""
    return validated(model, await body(request), limits)


async def body(request: Request) -> Any:
    """Return the JSON value of a request.

    Its content type must say so: a page in a browser could send any other type to this machine without permission.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "Expected the header Content-Type: application/json.", code="unsupported_media_type")
    return parse(await request.body())


def parse(text: bytes | str) -> Any:
    """Return the value of a JSON text; an ApiError when it is not valid JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise invalid(f"The body is not valid JSON: {error}.", code="invalid_json") from error


def validated(model: type[Model], values: object, limits: Limits | None = None) -> Model:
    """Return `values` as an instance of `model`; an ApiError with the first thing that is wrong with them."""
    try:
        return model.model_validate(values, context=limits)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)[0]) from error


def _refusal(problem: ErrorDetails) -> ApiError:
    """Translate the first error of a validation; `param` is the path of the value, such as messages[0].role."""
    param = _path(problem["loc"])
    message = problem["msg"].replace(" after validation", "")
    match problem["type"]:
        case "extra_forbidden":
            return invalid(f"Unrecognized request argument supplied: {param}", param, "unknown_parameter")
        case "missing":
            return invalid(f"{param} is required.", param, "missing_required_parameter")
        case "unsupported_parameter":
            return invalid(f"{param} {message}", param, "unsupported_parameter")
        case "model_type":
            message = "Input should be a JSON object"
    code = "invalid_value" if param else None
    if message.startswith("Input should be "):
        message = f"expected {message.removeprefix('Input should be ')}, got {_shown(problem['input'])}"
    return invalid(f"{param or 'body'}: {message}.", param, code)


def _path(location: Sequence[str | int]) -> str | None:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":  # pydantic's mark of an error in the key itself
            name = part[:80].encode("ascii", "backslashreplace").decode()
            path += f".{name}" if path else name
    return path or None


def _shown(value: object) -> str:
    """Show a value in a message: a short one as it is, others by their type."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    if len(text) <= 80:
        return text
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}
    return f"{kinds.get(type(value), 'a number')} of {len(text)} characters"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
