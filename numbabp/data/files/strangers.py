"""Files that are no tables which are read here: what they are, and how to get a table of them."""

_SAVE = "save the table as CSV or Parquet"
_UNPACK = "unpack it first; only gzip is read as it is"
_BY_HEAD = {
    b"PK\x03\x04": ("a ZIP archive or a workbook of a spreadsheet", f"unpack it, or {_SAVE}"),
    b"\xd0\xcf\x11\xe0": ("an old workbook of a spreadsheet", _SAVE),
    b"BZh91AY&SY": ("compressed by bzip2", _UNPACK),
    b"\xfd7zXZ": ("compressed by xz", _UNPACK),
    b"(\xb5/\xfd": ("compressed by zstd", _UNPACK),
    b"7z\xbc\xaf": ("a 7z archive", _UNPACK),
    b"\x1f\x8b": ("compressed twice by gzip", "unpack it once"),
    b"ORC": ("an ORC file", _SAVE),
    b"Obj\x01": ("an Avro file", _SAVE),
    b"SQLite format 3": ("a database of SQLite", _SAVE),
    b"\x89HDF": ("an HDF5 file", f"{_SAVE}, or arrays as NPZ"),
    b"MATLAB 5.0": ("a file of MATLAB's", "save arrays as NPZ, which scipy.io.loadmat and numpy.savez do"),
    b"$FL2": ("a file of SPSS's", _SAVE),
    b"<stata_dta>": ("a file of Stata's", _SAVE),
    b"\x80\x02": ("a pickle, which is never loaded", _SAVE),
    b"\x80\x03": ("a pickle, which is never loaded", _SAVE),
    b"\x80\x04": ("a pickle, which is never loaded", _SAVE),
    b"\x80\x05": ("a pickle, which is never loaded", _SAVE),
    b"%PDF": ("a PDF document", _SAVE),
    b"{\\rtf": ("a document", _SAVE),
    b"version https://git-lfs": ("where Git LFS has the file, not the file", "fetch it with: git lfs pull"),
}
_BY_FIRST_SIGNS = {
    b"{": ("JSON", _SAVE),
    b"[{": ("JSON", _SAVE),
    b"[[": ("JSON", _SAVE),
    b"<!": ("a web page", "download the file itself"),
    b"<html": ("a web page", "download the file itself"),
    b"<?xml": ("XML", _SAVE),
}
"""After spaces and ends of lines."""
EXCEL = (".xlsx", ".xls", ".ods")


def stranger(head: bytes, suffix: str) -> str | None:
    """What the file with these first bytes is and what to do, or None if it may be a table."""
    for first, (what, way_out) in _BY_HEAD.items():
        if head.startswith(first) and (first != b"ORC" or b"\0" in head):  # which may begin a header
            return f"is {what}: {way_out}."
    signs = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for first, (what, way_out) in _BY_FIRST_SIGNS.items():
        if signs.startswith(first):
            return f"is {what}: {way_out}."
    return f"is a workbook of a spreadsheet: {_SAVE}." if suffix in EXCEL else None
