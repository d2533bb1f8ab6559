"""Which duplicates may go, so that one of each group always stays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence


def pick_spare(
    links: Iterable[tuple[str, str]], movable: Sequence[str], staying: Collection[str]
) -> set[str]:
    """Return the members of `movable` that may go because a copy of each stays.

    Args:
        links: (member, keeper) of each duplicate finding. A group is a keeper and its members.
        movable: ids that may go because they are duplicates, those to be kept first in front:
            when a keeper goes for a reason of its own, the first member stays. A keeper is
            among them if its label is in doubt.
        staying: ids that are in the set now, `movable` among them; all others are out anyway.

    One goes only while another sample of one of its groups stays, and never if that would leave
    one that has gone without a copy.

    >>> sorted(pick_spare([("b", "a"), ("c", "a")], ["b", "c"], {"a", "b", "c"}))
    ['b', 'c']
    >>> sorted(pick_spare([("b", "a"), ("c", "a")], ["b", "c"], {"b", "c"}))
    ['c']
    """
    groups = _Groups(links, staying)
    last_first = movable[::-1]
    leading = [member for member in last_first if member in groups.nodes]
    following = [member for member in last_first if member not in groups.nodes]
    return {member for member in (*leading, *following) if groups.release(member)}


class _Groups:
    def __init__(self, links: Iterable[tuple[str, str]], staying: Collection[str]) -> None:
        self.keepers: defaultdict[str, set[str]] = defaultdict(set)
        self.nodes: defaultdict[str, set[str]] = defaultdict(set)
        for member, keeper in links:
            if member != keeper:
                self.keepers[member].add(keeper)
                self.nodes[keeper] |= {member, keeper}
        here = set(staying)
        self.stays = Counter({group: len(ids & here) for group, ids in self.nodes.items()})
        self.gone: defaultdict[str, set[str]] = defaultdict(set)

    def release(self, member: str) -> bool:
        touched = self._groups(member)
        self.stays.subtract(touched)
        emptied = [group for group in touched if not self.stays[group]]
        orphans = {gone for group in emptied for gone in self.gone[group]}
        if all(any(self.stays[group] for group in self._groups(one)) for one in (member, *orphans)):
            for group in touched:
                self.gone[group].add(member)
            return True
        self.stays.update(touched)
        return False

    def _groups(self, member: str) -> set[str]:
        return self.keepers[member] | ({member} if member in self.nodes else set())
