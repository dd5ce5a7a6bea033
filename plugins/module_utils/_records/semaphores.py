# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Semaphores as documents of a store, C(.semaphores/<name>/holders.json): which jobs have a slot, of those that may not all run at once.

A document says who has taken a slot, and never that it is free again: that says the record of the job. An attempt that has ended holds
none, whoever has noted its end. So nobody has to give anything back, and nobody who dies keeps anything. The field C(semaphore) of a
record says the C(name), and the C(slot), an id that no other attempt has.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import contended, read_record, write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey, encode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    OWN_WORK,
    SCHEMA_VERSION,
    Record,
    read_plain,
    unseen_work,
    why_unseen,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    ABSENT,
    SUFFIX,
    Content,
    Store,
    Version,
    without_signature,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless, is_name

# No host has a name that begins with a dot in a store.
SEMAPHORES = ".semaphores/"

MOST = 1000
"""How many may run at the same time, at most: whoever waits may have to ask about each of them."""

_SLOT = re.compile(r"[0-9a-f]{32}\Z")
_TEXTS = ("host", "playbook_name", "job_name", "slot", "who", "since")
# How many holders are named.
_SHOWN = 5


class Holder(t.NamedTuple):
    """An attempt that has taken a slot."""

    host: str
    playbook_name: str
    job_name: str
    slot: str
    """An id that no other attempt has. Its record had it before the semaphore."""
    at_most: int
    """How many its task lets run at the same time."""
    attempt: int
    who: str
    since: str

    @property
    def key(self) -> JobKey:
        """Which job it is of."""
        return JobKey(self.host, self.playbook_name, self.job_name)

    def __str__(self) -> str:
        return harmless(f"{self.host}/{self.playbook_name}/{self.job_name} since {self.since}")


class Held(t.NamedTuple):
    """A slot that is not free."""

    holder: Holder
    why: str
    """What its record says of it, for people."""
    is_moving: bool = False
    """Whether somebody is just starting that job: so nobody has to wait long to know more."""


def is_slot(about: dict[str, t.Any]) -> bool:
    """Return whether this is what a record says of the slot of its attempt: C(name), C(at_most) and C(slot)."""
    slot, most = about.get("slot"), about.get("at_most")
    is_number = isinstance(most, int) and not isinstance(most, bool) and 0 < most <= MOST
    return is_name(about.get("name")) and isinstance(slot, str) and _SLOT.match(slot) is not None and is_number


def path_of_semaphore(name: str) -> str:
    """Return the path of a semaphore in its store."""
    return f"{SEMAPHORES}{encode(name)}/holders{SUFFIX}"


def read_semaphore(store: Store, name: str) -> tuple[tuple[Holder, ...], Version]:
    """Read who has taken a slot of a semaphore, and the version to expect when writing that."""
    path = path_of_semaphore(name)
    document = store.read(path)
    if document is None:
        return (), ABSENT
    return parse_semaphore(document.content, name, where=store.locate(path)), document.version


def write_semaphore(store: Store, name: str, holders: t.Iterable[Holder], *, expect: Version) -> Version:
    """Write who has taken a slot.

    :raises Conflict: if something else is there; nothing was written then
    """
    document: Content = {
        "schema_version": SCHEMA_VERSION,
        "semaphore": name,
        "holders": [holder._asdict() for holder in holders],
        "save_time": _times.now(),
    }
    _written, version = write(store, path_of_semaphore(name), document, expect=expect)
    return version


def parse_semaphore(document: bytes, name: str, *, where: str) -> tuple[Holder, ...]:
    """Read a document of the store.

    :arg where: the place of the document, for the error
    :raises AsyncJobError: if it is not this semaphore
    """

    def corrupt(why: str) -> AsyncJobError:
        return AsyncJobError(
            f"The semaphore {where} cannot be used: {why}. Nothing was started. Look at it, then put back a good copy; or remove it, once"
            " you are sure that none of its jobs runs: then all of its slots count as free."
        )

    try:
        found = read_plain(document.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise corrupt(f"it is not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise corrupt("it is not a JSON object")
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        raise AsyncJobError(
            f"The semaphore {where} was written by another release of the collection rstyczynski.ansible (schema version {version!r}; this"
            f" release knows {SCHEMA_VERSION}). Nothing was started. Upgrade the collection on this controller."
        )
    found = without_signature(found)
    if found.get("semaphore") != name:
        raise corrupt(f"it is of the semaphore {found.get('semaphore')!r}: the file was moved or copied by hand")
    listed = found.get("holders")
    if not isinstance(listed, list) or len(listed) > MOST:
        raise corrupt("its holders are no list")
    holders = []
    for one in listed:
        if not isinstance(one, dict) or not _is_holder(one):
            raise corrupt("one of its holders is none")
        holders.append(Holder(**{field: one[field] for field in Holder._fields}))
    if len({holder.slot for holder in holders}) < len(holders):
        raise corrupt("two of its holders have the same slot")
    return tuple(holders)


def _is_holder(one: dict[str, t.Any]) -> bool:
    numbers = [one.get(field) for field in ("at_most", "attempt")]
    return (
        all(isinstance(one.get(field), str) and len(one[field]) <= 4096 for field in _TEXTS)
        and _SLOT.match(one["slot"]) is not None
        and all(isinstance(number, int) and not isinstance(number, bool) and number > 0 for number in numbers)
    )


def check_semaphore(document: bytes, path: str, *, where: str) -> tuple[Holder, ...]:
    """Return who holds the semaphore that belongs to a path.

    :raises AsyncJobError: if it is something else, with the reason
    """
    try:
        content: t.Any = read_plain(document.decode("utf-8"))
        name = str(content["semaphore"])
    except (ValueError, RecursionError, TypeError, KeyError):
        name = ""
    holders = parse_semaphore(document, name, where=where)
    if path_of_semaphore(name) != path:
        raise AsyncJobError(f"The semaphore {where} is not where it belongs: it was moved or copied by hand. Put it back, or remove it.")
    return holders


def why_held(holder: Holder, record: Record | None) -> str:
    """Return why a slot is not free, by the record of its job. Empty if it is: the attempt has ended, or was given up."""
    if record is None:
        return (
            "its record is gone, so that nobody can tell whether it has ended; once you are sure that it has, free its slot with"
            " async_job_state: 'state: absent' and 'force: true'"
        )
    slot = record.get("semaphore", {}).get("slot")
    if slot != holder.slot:
        past = next((attempt for attempt in record.get("attempts", ()) if attempt.get("semaphore", {}).get("slot") == holder.slot), None)
        # Whoever starts a second one while the first one is orphaned, has said so.
        if past is not None and past.get("status", "running") == "running":
            return f"attempt {past.get('attempt', 1)} was running when its record was given to another one"
        return ""
    status = record.get("status", "running")
    action = unseen_work(record)
    if action:
        return (
            f"may still be under way: {why_unseen(action)}; once you are sure that it is done, remove its record with async_job_state:"
            " 'state: absent' and 'force: true'"
        )
    if status in ENDED:
        return ""
    if status in CLAIMED:
        claim = record.get("claim", {})
        if status == "prepared" and claim.get(OWN_WORK):
            return f"{claim[OWN_WORK]} is at its work in the run of {claim.get('who')}, or was interrupted there, which its own task tells"
        return f"is being started by {claim.get('who', 'another controller')}"
    return f"{status}, as last recorded"


def most_of(at_most: int, holders: t.Iterable[Holder]) -> int:
    """Return how many may hold a slot: as many as whoever says the least, of those that hold one and the one who wants one."""
    return min(at_most, *(holder.at_most for holder in holders), MOST)


def who_holds(name: str, at_most: int, held: t.Sequence[Held]) -> str:
    """Return who holds a semaphore, for people: C(database (3 of 3): hosta/backup/nightly since …, …)."""
    shown = []
    for one in held[:_SHOWN]:
        plain = one.why.startswith("running,")
        shown.append(f"{one.holder}{'' if plain else f' ({harmless(one.why)})'}")
    more = f", and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    return f"{name} ({len(held)} of {most_of(at_most, [one.holder for one in held])}): {', '.join(shown)}{more}"


def held_now(store: Store, name: str) -> list[Held]:
    """Return the slots of a semaphore that are not free, by what the records of their jobs say."""
    holders, _version = read_semaphore(store, name)
    found = []
    for holder in holders:
        try:
            why = why_held(holder, read_record(store, holder.key)[0])
        except AsyncJobError as error:
            why = f"nobody can tell whether it has ended. {error}"
        if why:
            found.append(Held(holder, why))
    return found


def hold_slot(store: Store, record: Record) -> None:
    """Put an attempt on its semaphore whose record is made anew, if it is not there any more: it runs, or may, however many others do.

    :raises AsyncJobError: if the record says what nobody could read there
    """
    about: t.Any = record.get("semaphore")
    if not about or (record.get("status") in ENDED and not unseen_work(record)):
        return
    names = (record["host"], record["playbook_name"], record["job_name"])
    number = max(record.get("attempt", 1), 1)
    ours = Holder(*names, about["slot"], about["at_most"], number, record.get("who", ""), record.get("start", ""))
    if not _is_holder(ours._asdict()):
        raise AsyncJobError(f"What is known of it cannot be noted in the semaphore {about['name']}. Nothing was written.")

    def attempt() -> None:
        holders, version = read_semaphore(store, about["name"])
        if all(holder.slot != ours.slot for holder in holders):
            write_semaphore(store, about["name"], [*holders, ours], expect=version)

    contended(attempt)


def free_slot(store: Store, record: Record) -> None:
    """Take an attempt that has ended off its semaphore, before its record goes: without it, nobody could tell that it has ended."""
    about: t.Any = record.get("semaphore")
    if isinstance(about, dict) and is_name(about.get("name")):
        _take_off(store, about["name"], lambda holder: holder.slot == about.get("slot"))


def free_slots_of(store: Store, key: JobKey) -> bool:
    """Take all attempts of a job off all semaphores, because the user is sure that none of them runs. Return whether there were any."""
    has_changed = False
    for entry in store.entries(SEMAPHORES):
        if entry.document is None:
            raise entry.error or AsyncJobError(f"The semaphore {store.locate(entry.path)} cannot be read.")
        holders = check_semaphore(entry.document.content, entry.path, where=store.locate(entry.path))
        if any(holder.key == key for holder in holders):
            name = read_plain(entry.document.content.decode("utf-8"))["semaphore"]
            has_changed |= _take_off(store, name, lambda holder: holder.key == key)
    return has_changed


def _take_off(store: Store, name: str, unwanted: t.Callable[[Holder], bool]) -> bool:
    def attempt() -> bool:
        holders, version = read_semaphore(store, name)
        kept = [holder for holder in holders if not unwanted(holder)]
        if len(kept) < len(holders):
            write_semaphore(store, name, kept, expect=version)
        return len(kept) < len(holders)

    return contended(attempt)
