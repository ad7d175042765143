"""A share of something that all need, of which no one caller gets more than a part."""


class Quota:
    """So much in all, and so much of it for each caller; nobody waits for it."""

    def __init__(self, total: int, per_caller: int) -> None:
        self._total = self._left = total
        self._per_caller = per_caller
        self._taken: dict[str, int] = {}

    @property
    def taken(self) -> int:
        """What all callers together have now."""
        return self._total - self._left

    def used_by(self, caller: str) -> int:
        """Return what a caller has now."""
        return self._taken.get(caller, 0)

    def reserve(self, caller: str, amount: int = 1) -> bool:
        """Take `amount`, which `give` gives back; False where it is too much, and none is taken."""
        taken = self._taken.get(caller, 0) + amount
        if amount > self._left or taken > self._per_caller:
            return False
        self._left -= amount
        self._taken[caller] = taken
        return True

    def give_back(self, caller: str, amount: int = 1) -> None:
        """Give back what was taken."""
        self._left += amount
        left = self._taken[caller] - amount
        if left:
            self._taken[caller] = left
        else:
            del self._taken[caller]
