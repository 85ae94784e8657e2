"""Parquet and Feather files, and folders of them, some thousand rows at a time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ...streams.arrow import batches_of_dataset
from ..columns import TableError, column_of_array, said
from ..files.arrow import INSTALL, arrays_of
from ..files.reading import Reading
from ..tables import Table


class ArrowRows:
    """Rows of a dataset of pyarrow's, the first of which have been looked at.

    Parameters
    ----------
    name : str
        What messages call it.
    paths : sequence of str
        Its files, in order.
    kind : str
        What they are: "parquet" or "feather".
    folder : str or None
        Where they are, by whose folders such as `year=2024` they may be told apart in columns of that name.
    reading : Reading
    n_look : int
        Rows to look at.

    Attributes
    ----------
    look : Table
        The first rows.
    comes_again : bool
        Whether `tables` can be called more than once.
    """

    comes_again = True

    def __init__(
        self,
        name: str,
        paths: Sequence[str],
        kind: str,
        folder: str | None,
        reading: Reading,
        n_look: int,
    ) -> None:
        self._name, self._reading = name, reading
        with self._errors(kind):
            from pyarrow import Table as ArrowTable
            from pyarrow import dataset, default_memory_pool

            parts = {} if folder is None else {"partitioning": "hive", "partition_base_dir": folder}
            self._dataset = dataset.dataset(list(paths), format=kind, **parts)
            batches, n = [], 0
            all_batches: Any = batches_of_dataset(self._dataset, None, 0)
            with closing(all_batches):
                for batch in all_batches:
                    batches.append(batch.slice(0, n_look - n))
                    n += batches[-1].num_rows
                    if n >= n_look:
                        break
            table = ArrowTable.from_batches(batches, None if batches else self._dataset.schema)
            self.look = self._table(table, 1, reading.texts)
            default_memory_pool().release_unused()  # the pages of all columns
        if not self.look.columns or not self.look.n_rows:
            raise TableError(f"{name}: there are no {'rows' if self.look.columns else 'columns'}.")
        self._kind = kind

    def tables(self, names: Sequence[str], texts: Iterable[str]) -> Iterator[Table]:
        """Columns of these names, some rows at a time.

        Parameters
        ----------
        names : sequence of str
        texts : iterable of str
            Those to take as texts.

        Raises
        ------
        TableError
            For what is damaged.
        """
        from pyarrow import Table as ArrowTable

        first_row, texts = 1, tuple(texts)
        batches = batches_of_dataset(self._dataset, list(names), 0)
        while True:
            with self._errors(self._kind):
                batch = next(batches, None)
                if batch is None:
                    return
                table = self._table(ArrowTable.from_batches([batch]), first_row, texts)
            if batch.num_rows:
                yield table
                first_row += batch.num_rows

    def _table(self, table: Any, first_row: int, texts: Iterable[str]) -> Table:
        wanted, missing = set(texts), self._reading.missing
        columns = {
            name: column_of_array(name, values, missing, name in wanted)
            for name, values in arrays_of(table).items()
        }
        return Table(self._name, columns, first_row=first_row)

    @contextmanager
    def _errors(self, kind: str) -> Iterator[None]:
        """What pyarrow raises of files, in a line."""
        try:
            yield
        except ImportError:
            raise TableError(f"{self._name}: reading {kind} files needs pyarrow; {INSTALL}") from None
        except TableError as error:
            is_placed = str(error).startswith(self._name)
            raise error if is_placed else TableError(f"{self._name}: {error}") from None
        except MemoryError:
            raise
        except Exception as error:
            raise TableError(
                f"{self._name}: damaged, or not {kind} files of the same columns: {said(error)}."
            ) from None
