"""How AWS's services call a denial: each has a code of its own."""

DENIALS = frozenset(
    [
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "ForbiddenException",
        "UnauthorizedException",
        "UnauthorizedOperation",
    ]
)
