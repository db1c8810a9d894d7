"""The report `leaderboard.md`: one module per section, put together by `report`, rendered by GitHub as it is."""
