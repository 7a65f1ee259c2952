"""What AWS answers instead of doing what was asked."""


class Refusal(Exception):  # noqa: N818 - what AWS answers, not a fault of the program
    """What AWS answers instead of doing it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
