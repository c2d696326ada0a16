"""Token ids as the store keeps them: packed, and unpacked only when they are used."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import overload

from ..errors import InvalidInput

__all__ = ["TokenIds"]


class TokenIds(Sequence[int]):
    """Ids as int32, little-endian. Equal to a tuple of the same ids, and immutable like it."""

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes) -> None:
        """Raises ValueError for what can't hold whole ids."""
        if type(packed) is not bytes or len(packed) % 4:
            raise ValueError(f"token ids take 4 bytes each, not {packed[:8]!r}")
        self._packed = packed

    @classmethod
    def of(cls, ids: Sequence[int]) -> TokenIds:
        """Pack ids. Raises InvalidInput for those that int32 can't hold."""
        if isinstance(ids, cls):
            return ids
        try:
            return cls(struct.pack(f"<{len(ids)}i", *ids))
        except struct.error as error:
            raise InvalidInput(f"the tokens of a turn must be whole numbers under 2**31 ({error})") from error

    @property
    def packed(self) -> bytes:
        """The bytes."""
        return self._packed

    def __len__(self) -> int:
        return len(self._packed) // 4

    def __iter__(self) -> Iterator[int]:
        return iter(self._unpacked())

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        if isinstance(index, slice):
            return self._unpacked()[index]
        return struct.unpack_from("<i", self._packed, range(0, len(self._packed), 4)[index])[0]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TokenIds):
            return self._packed == other._packed
        return self._unpacked() == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._unpacked())

    def __repr__(self) -> str:
        return repr(self._unpacked())

    def _unpacked(self) -> tuple[int, ...]:
        return struct.unpack(f"<{len(self)}i", self._packed)
