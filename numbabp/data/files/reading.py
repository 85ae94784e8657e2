"""What is known of a file before it is read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """How a file is to be read, where that is told and not to be found out.

    Attributes
    ----------
    separator : str, optional
        What stands between fields.
    decimal : {".", ","}, optional
        The decimal sign.
    missing : tuple of str
        Texts that stand for no value, besides those that always do.
    texts : tuple of str
        Columns to take as texts, whatever they look like.
    has_header : bool, optional
        Whether the first line names the columns.
    part : {"train", "test"}
        Of a file that has both.
    """

    separator: str | None = None
    decimal: str | None = None
    missing: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    has_header: bool | None = None
    part: str = "train"

    def __post_init__(self) -> None:
        if self.separator is not None:
            separator = {"\\t": "\t", "tab": "\t"}.get(self.separator, self.separator)
            if len(separator) != 1 or separator in '"\r\n':
                raise ValueError(f"--separator must be one character, or tab, got {self.separator!r}.")
            object.__setattr__(self, "separator", separator)
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"--decimal must be . or , got {self.decimal!r}.")
