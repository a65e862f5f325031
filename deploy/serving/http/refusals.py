"""Refused requests: an HTTP status, a code for programs, and a message for people."""


class Refused(Exception):  # noqa: N818 -- an answer to the client, not a fault of the service
    """A request that is not served, and why.

    `code` is stable and meant for programs (the page translates it). The message names the thing,
    the value and the way out.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    def at(self, position: int, count: int) -> "Refused":
        """The same refusal with the position of the image, from 1, if there are several."""
        if count == 1:
            return self
        message = f"image {position} of {count}: {self.message}"
        return Refused(self.status, self.code, message, self.retry_after)
