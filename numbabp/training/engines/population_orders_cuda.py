"""The orders in which a population on a GPU takes its samples: one for all networks, or each its own."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ...devices import memory
from ...kernels.shuffling import draw_orders
from ..checkpoints.standing import Standing, take
from ..shard import Shard


class Orders(ABC):
    """What is drawn, epoch by epoch, as `Network.fit` draws it."""

    most_epochs: int
    """That may be drawn before they are trained."""

    @abstractmethod
    def compile(self) -> None:
        """Compile what draws, and draw nothing."""

    @abstractmethod
    def drawn(self, n_epochs: int) -> Any:
        """Of the next epochs, on the device, as kernels take them; gone with the next call."""

    @abstractmethod
    def undrawn(self) -> Any:
        """The same for a launch without steps."""

    @abstractmethod
    def of(self, orders: Any, networks: Any) -> Any:
        """Of what was drawn, the orders of some networks alone, by numbers on the device."""

    @abstractmethod
    def samples_at(
        self, orders: Any, networks: np.ndarray, epochs: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """The sample that each of some networks takes at a position of an epoch that was drawn."""

    @abstractmethod
    def kept(self) -> dict[str, np.ndarray]:
        """For a checkpoint."""

    @abstractmethod
    def go_on(self, kept: Standing) -> None:
        """From there.

        Raises
        ------
        ValueError
            If that is of another run.
        """


class CommonOrders(Orders):
    """One for all networks, drawn on the host."""

    most_epochs = 2**31

    def __init__(self, shard: Shard, n_samples: int) -> None:
        self._order = np.arange(n_samples, dtype=np.int64)
        self._random = np.array([shard.order_seed] if shard.options.shuffle else [], np.uint64)

    def compile(self) -> None:
        """See `Orders`."""
        draw_orders(self._order, self._random, np.zeros((0, len(self._order)), np.int32))

    def drawn(self, n_epochs: int) -> Any:
        """See `Orders`."""
        orders = np.zeros((n_epochs, len(self._order)), np.int32)
        draw_orders(self._order, self._random, orders)
        return memory.to_device(orders)

    def undrawn(self) -> Any:
        """See `Orders`."""
        return memory.zeros((1, len(self._order)), np.int32)

    def of(self, orders: Any, networks: Any) -> Any:
        """See `Orders`."""
        return orders

    def samples_at(
        self, orders: Any, networks: np.ndarray, epochs: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """See `Orders`."""
        return memory.to_host(orders[memory.to_device(epochs), memory.to_device(positions)])

    def kept(self) -> dict[str, np.ndarray]:
        """See `Orders`."""
        return {"order": self._order, "random": self._random}

    def go_on(self, kept: Standing) -> None:
        """See `Orders`."""
        self._order[:] = take(kept.arrays, "order", self._order)
        self._random[:] = take(kept.arrays, "random", self._random)


class OwnOrders(Orders):
    """One for each network, drawn where it lies: there is room for an epoch's."""

    most_epochs = 1

    def __init__(self, shard: Shard, n_samples: int) -> None:
        self._random = memory.to_device(shard.own_order_seeds())
        self._orders = memory.zeros((len(shard), n_samples), np.int32)
        self._orders[:] = memory.to_device(np.arange(n_samples, dtype=np.int32))

    def compile(self) -> None:
        """See `Orders`."""
        self._draw(self._orders[:0])

    def drawn(self, n_epochs: int) -> Any:
        """See `Orders`."""
        assert n_epochs == 1
        self._draw(self._orders)
        return self._orders

    def _draw(self, orders: Any) -> None:
        # late, as it imports numba-cuda
        from ...kernels.cuda.population.orders import THREADS, draw_own_orders

        blocks = max(1, -(-len(orders) // THREADS))
        memory.launch(draw_own_orders, blocks, THREADS, (orders, self._random))

    def undrawn(self) -> Any:
        """See `Orders`."""
        return self._orders

    def of(self, orders: Any, networks: Any) -> Any:
        """See `Orders`."""
        return orders[networks]

    def samples_at(
        self, orders: Any, networks: np.ndarray, epochs: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """See `Orders`."""
        return memory.to_host(orders[memory.to_device(networks), memory.to_device(positions)])

    def kept(self) -> dict[str, np.ndarray]:
        """See `Orders`; files hold no int32."""
        return {"order": memory.to_host(self._orders).view(np.uint32), "random": memory.to_host(self._random)}

    def go_on(self, kept: Standing) -> None:
        """See `Orders`."""
        like = np.broadcast_to(np.uint32(0), self._orders.shape)
        memory.copy_to(self._orders, take(kept.arrays, "order", like).view(np.int32))
        memory.copy_to(self._random, take(kept.arrays, "random", self._random))
