"""Texts that some reader of YAML takes for something else where they are not quoted."""

ODD_WORDS = (
    "y",
    "no",
    "On",
    "1e3",
    "0o7",
    "089",
    "1:30",
    "2020-01-01",
    "=",
    "~",
    "",
    "<<",
    ".5",
    "1_0",
    ".inf",
    "+1",
)
