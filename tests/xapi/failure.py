"""API errors, as xapi puts them: a code and parameters, all text."""


class ApiError(Exception):
    """An error for the client."""

    def __init__(self, *description: str) -> None:
        super().__init__(*description)
        self.description = list(description)

    @property
    def code(self) -> str:
        """What went wrong."""
        return self.description[0]
