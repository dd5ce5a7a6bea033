# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A state directory that a group shares (state_mode: group): real users, as processes, and what each of them can do."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
import traceback
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_contract import PATH, StoreContract, document
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import directories, filesystem
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which only root can do")

TEAM, OTHER_TEAM = 12347, 12348
OTHER = JobKey("host1", "play", "another").path


class User(t.NamedTuple):
    """A user of the system, with an umask of their own."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    umask: int = 0o077


ALICE = User(12345, 12345, (TEAM,))
BOB = User(12346, 12346, (TEAM,), umask=0o027)
CAROL = User(12349, 12349, (OTHER_TEAM,))


def start(who: User, work: Callable[[], object]) -> Callable[[], str]:
    """Do something as a user, in a process of theirs. Return how to wait for what came of it: a text, or why it has failed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "it ended"
        try:
            os.umask(who.umask)
            os.setgroups(who.groups)
            os.setresgid(who.gid, who.gid, who.gid)
            os.setresuid(who.uid, who.uid, who.uid)
            said = str(work())
        except AsyncJobError as error:
            said = f"{type(error).__name__}: {error}"
        except BaseException:
            said = traceback.format_exc()
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)

    def wait() -> str:
        with open(reading, encoding="utf-8") as pipe:
            said = pipe.read()
        os.waitpid(pid, 0)
        return said

    return wait


def does(who: User, work: Callable[[], object]) -> str:
    """Do that, and wait for it."""
    return start(who, work)()


@pytest.fixture
def above() -> Iterator[Path]:
    """A directory of root's that everybody can enter."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def root(above: Path) -> Path:
    """A state directory that an administrator has made for the team."""
    directory = above / "it's a store"
    directory.mkdir()
    os.chown(directory, 0, TEAM)
    directory.chmod(0o2770)
    return directory


def opened(root: Path, state_mode: str = "group", notify: Callable[[str], None] = nobody) -> FilesystemStore:
    """The store, as tasks open it."""
    params = {"state_dir": str(root), "create_store": True, "record_key_file": None, "state_mode": state_mode}
    return FilesystemStore.open(params, notify)


def read(root: Path, state_mode: str = "group", path: str = PATH) -> str:
    """Return a document, and what was warned of."""
    store = opened(root, state_mode)
    found = store.read(path)
    return json.dumps([found and found.content.decode(), store.warnings])


def write(root: Path, content: bytes, state_mode: str = "group", path: str = PATH) -> str:
    """Replace a document, and return what was warned of."""
    store = opened(root, state_mode)
    now = store.read(path)
    store.write(path, content, expect=ABSENT if now is None else now.version)
    return json.dumps(store.warnings)


def modes(directory: Path) -> dict[str, tuple[str, int]]:
    """The mode and the group of all that is in a directory."""
    found = {str(path.relative_to(directory)): path.lstat() for path in directory.rglob("*")}
    return {name: (oct(stat.S_IMODE(status.st_mode)), status.st_gid) for name, status in found.items()}


def mend(message: str) -> None:
    """Run the command that a message ends with, with the group of the team where somebody has to choose one."""
    [command] = re.findall(r"[Rr]un: ([^\n]*)$", message)
    subprocess.run(command.replace("-R GROUP", f"-R {TEAM}"), shell=True, check=True)


class TestContract(StoreContract):
    """All that a store has to do, in a directory that a group shares."""

    @pytest.fixture
    def reopen(self, root: Path) -> Callable[[], FilesystemStore]:
        """One more store on the same directory."""
        return functools.partial(FilesystemStore, str(root), state_mode="group")


def test_what_one_has_written_the_others_read_replace_and_remove(root: Path) -> None:
    """Whatever their umask, and whoever comes first; and so does root."""
    old, new, last = document(), document(), document()
    assert does(ALICE, lambda: write(root, old)) == "[]"
    assert modes(root) == {
        ".lock": ("0o660", TEAM),
        "host1": ("0o2770", TEAM),
        "host1/play": ("0o2770", TEAM),
        "host1/play/job.json": ("0o660", TEAM),
    }
    assert json.loads(does(BOB, lambda: read(root))) == [old.decode(), []]
    assert does(BOB, lambda: write(root, new)) == "[]"
    assert json.loads(does(ALICE, lambda: read(root))) == [new.decode(), []]
    assert write(root, last) == "[]"
    assert json.loads(does(ALICE, lambda: read(root))) == [last.decode(), []]
    assert does(ALICE, lambda: opened(root).delete(PATH)) == "True"
    assert does(BOB, lambda: write(root, old, path=OTHER)) == "[]"
    assert does(ALICE, lambda: opened(root).delete(OTHER)) == "True"
    assert {mode for mode, _gid in modes(root).values()} == {"0o2770", "0o660"}


@pytest.mark.parametrize("setgid", [True, False])
def test_a_store_that_is_made(above: Path, setgid: bool) -> None:
    """It has the group of the directory above, if that hands it on, or else that of the user; and says so."""
    os.chown(above, 0, TEAM)
    above.chmod(0o2775 if setgid else 0o777)
    alice, bob = (user if setgid else user._replace(gid=TEAM, groups=()) for user in (ALICE, BOB))
    root = above / "missing" / "store"
    lines: list[str] = []

    def first() -> object:
        opened(root, notify=lines.append).write(PATH, document())
        return lines

    said = does(alice, first)
    assert f"A new store is made in {root}" in said
    assert f"for everybody in the group {TEAM}" in said
    assert does(bob, lambda: write(root, document())) == "[]" if setgid else "replace the state directory" in does(bob, lambda: read(root))
    assert set(modes(above).values()) == {("0o2770", TEAM), ("0o660", TEAM)}


def test_a_group_of_one(above: Path) -> None:
    """Nobody else could use it. The command makes it one of the team's."""
    root = above / "store"
    store = FilesystemStore(str(root), state_mode="group")
    store.write(PATH, document())
    [warning] = store.warnings
    assert "Nobody but root is in the group root" in warning
    mend(warning)
    assert does(ALICE, lambda: write(root, document())) == "[]"


def test_nobody_else_gets_in(root: Path) -> None:
    """They are told which group it takes; and the modes alone keep them out, too."""
    does(ALICE, lambda: write(root, document()))
    said = does(CAROL, lambda: read(root))
    assert said.startswith("StoreUnavailable: ")
    assert f"belongs to the group {TEAM}, and {CAROL.uid} is not in it" in said
    root.chmod(0o2775)
    for action in (
        (root / PATH).read_bytes,
        lambda: os.open(root / ".lock", os.O_RDONLY),
        lambda: (root / "new").write_bytes(b""),
        (root / ".lock").unlink,
    ):
        assert "PermissionError" in does(CAROL, action)


def test_members_wait_for_each_other(root: Path) -> None:
    """Of any number of writers with the same expectation, one succeeds, whoever has made the lock file."""

    def count() -> object:
        store = opened(root)
        done = 0
        while done < 10:
            now = store.read(PATH)
            number = json.loads(now.content)["number"] if now else 0
            with contextlib.suppress(Conflict):
                store.write(PATH, document(number=number + 1), expect=now.version if now else ABSENT)
                done += 1
        return store.warnings

    assert {wait() for wait in [start(who, count) for who in (ALICE, BOB, ALICE, BOB)]} == {"[]"}
    assert json.loads((root / PATH).read_bytes())["number"] == 40


def test_members_make_the_same_directories_at_once(above: Path) -> None:
    """Nobody is told that what another one is making is not as it has to be."""
    above.chmod(0o2775)
    os.chown(above, 0, TEAM)

    def fill(number: int) -> object:
        for store in range(12):
            opened(above / f"store{store}").write(JobKey("host1", "play", f"job {number}").path, document())
        return "done"

    assert {wait() for wait in [start((ALICE, BOB)[number % 2], lambda number=number: fill(number)) for number in range(4)]} == {"done"}
    assert set(modes(above).values()) == {("0o2770", TEAM), ("0o660", TEAM)}


@pytest.mark.parametrize("name", ["", "host1", ".lock"])
def test_what_has_not_got_its_mode_yet_is_waited_for(root: Path, above: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An umask has taken away what whoever has just made it is about to give it."""
    made, waits, sleep = root / name, above / "waits", time.sleep
    made.touch(mode=0o600) if name == ".lock" else made.mkdir(mode=0o700, exist_ok=True)
    os.chown(made, ALICE.uid, TEAM)
    made.chmod(0o600 if name == ".lock" else 0o2700)
    above.chmod(0o1777)

    def slept(seconds: float) -> None:
        waits.touch()
        sleep(seconds)

    monkeypatch.setattr(filesystem.time, "sleep", slept)
    monkeypatch.setattr(directories, "MODE_SECONDS", 60.0)
    wait = start(BOB, lambda: write(root, document()))
    monkeypatch.undo()
    until(waits.exists)
    made.chmod(0o660 if name == ".lock" else 0o2770)
    assert wait() == "[]"


@pytest.mark.parametrize(
    ("bits", "why"),
    [(0o755, "not 2770"), (0o770, "not 2770"), (0o3770, "not 2770"), (0o2777, "others than its group can write"), (0o700, "not 2770")],
    ids=lambda value: oct(value) if isinstance(value, int) else "",
)
def test_a_directory_that_no_group_shares(root: Path, monkeypatch: pytest.MonkeyPatch, bits: int, why: str) -> None:
    """Or others, too: nothing is read or written there. The command mends it."""
    monkeypatch.setattr(directories, "MODE_SECONDS", 0.0)
    root.chmod(bits)
    for who in (ALICE, BOB):
        said = does(who, lambda: write(root, document()))
        assert said.startswith("StoreUnavailable: ")
        assert why in said
        assert f"mode {bits:04o}" in said
        assert "Nothing was read or written" in said
    assert list(root.iterdir()) == []
    assert stat.S_IMODE(root.stat().st_mode) == bits
    mend(said)
    for who in (ALICE, BOB):
        assert does(who, lambda: write(root, document())) == "[]"


@pytest.mark.parametrize(("level", "bits", "gid"), [("host1", 0o700, TEAM), ("host1/play", 0o2777, TEAM), ("host1", 0o2770, OTHER_TEAM)])
def test_a_directory_in_it_that_no_group_shares(root: Path, monkeypatch: pytest.MonkeyPatch, level: str, bits: int, gid: int) -> None:
    """It is named, to its owner too; and in a list of all, which goes on."""
    monkeypatch.setattr(directories, "MODE_SECONDS", 0.0)
    does(ALICE, lambda: write(root, document()))
    does(ALICE, lambda: write(root, document(), path="host2/play/job.json"))
    os.chown(root / level, ALICE.uid, gid)
    (root / level).chmod(bits)
    for action in (lambda: read(root), lambda: write(root, document()), lambda: opened(root).delete(PATH)):
        said = does(ALICE, action)
        assert f"The directory {root / level} " in said
        assert "Nothing was changed" in said
    entries = list(opened(root).entries())
    assert [entry.path for entry in entries if entry.document] == ["host2/play/job.json"]
    assert [str(root / level) in str(entry.error) for entry in entries if entry.error] == [True]
    mend(said)
    for who in (ALICE, BOB):
        assert does(who, lambda: write(root, document())) == "[]"


@pytest.mark.parametrize("who", [ALICE, BOB, User(0, 0)], ids=["its writer", "another member", "root"])
def test_private_where_a_group_shares(root: Path, who: User) -> None:
    """It can be read, and it is said. Nothing is written that the others could not read, and the lock stays everybody's."""
    content = document()
    does(ALICE, lambda: write(root, content))
    before = modes(root)
    found, [warning] = json.loads(does(who, lambda: read(root, "private")))
    assert found == content.decode()
    assert f"A group shares the store {root}" in warning
    assert "state_mode: group" in warning
    for action in (
        lambda: write(root, document(), "private"),
        lambda: write(root, document(), "private", OTHER),
        lambda: opened(root, "private").delete(PATH),
    ):
        said = does(who, action)
        assert said.startswith("AsyncJobError: Nothing was changed. A group shares the store")
    assert json.loads(does(BOB, lambda: read(root))) == [content.decode(), []]
    files = {name: mode for name, mode in modes(root).items() if mode[0] == "0o660"}
    assert files == {name: mode for name, mode in before.items() if mode[0] == "0o660"}
    mend(warning)
    os.chown(root, ALICE.uid, TEAM)
    assert does(ALICE, lambda: write(root, document(), "private")) == "[]"


@pytest.mark.parametrize("who", [ALICE, User(0, 0)], ids=["a member", "root"])
def test_who_forgets_it_in_a_fresh_directory(root: Path, who: User) -> None:
    """What was made for a team does not become one user's by that. It can be made private on purpose."""
    assert json.loads(does(who, lambda: read(root, "private")))[0] is None
    said = does(who, lambda: write(root, document(), "private"))
    assert "Nothing was changed. Say state_mode: group" in said
    assert list(root.iterdir()) == []
    assert does(BOB, lambda: write(root, document())) == "[]"
    shutil.rmtree(root / "host1")
    (root / ".lock").unlink()
    mend(said)
    os.chown(root, who.uid, TEAM)
    assert does(who, lambda: write(root, document(), "private")) == "[]"


def test_a_group_where_it_was_private(root: Path) -> None:
    """Somebody has used a directory that was made for the team as their own: who, and what mends it, is said to all others."""
    root.chmod(0o700)
    os.chown(root, ALICE.uid, ALICE.gid)
    does(ALICE, lambda: write(root, document(), "private", OTHER))
    for made in root.rglob("*"):
        os.chown(made, ALICE.uid, TEAM)
    os.chown(root, 0, TEAM)
    root.chmod(0o2770)
    said = json.loads(does(ALICE, lambda: write(root, document(), "private")))
    assert all("or, if a group shares it on purpose, say state_mode: group" in warning for warning in said)
    assert f"The directory {root / 'host1'} has mode 0700" in does(BOB, lambda: read(root))
    for directory in ("host1", "host1/play"):
        os.chown(root / directory, ALICE.uid, TEAM)
        (root / directory).chmod(0o2770)
    for action in (lambda: read(root), lambda: write(root, document()), lambda: write(root, document(), path=OTHER)):
        said = does(BOB, action)
        assert f"belongs to the user {ALICE.uid} and the group" in said
        assert "with mode 0600" in said
        assert "state_mode: private" in said
    _found, [warning] = json.loads(does(ALICE, lambda: read(root)))
    assert "not everybody in the group" in warning
    mend(warning)
    for who in (BOB, ALICE):
        assert does(who, lambda: write(root, document())) == "[]"


def test_a_record_that_others_can_write(root: Path) -> None:
    """It is named, in a private directory as well: of what a group may write, others may decide."""
    does(ALICE, lambda: write(root, document()))
    (root / PATH).chmod(0o666)
    [warning] = json.loads(read(root))[1]
    assert f"Other users can write to {root / PATH} (mode 0666)" in warning
    assert "chmod o-w" in warning
    mend(warning)
    assert json.loads(read(root))[1] == []
    for directory in (root, root / "host1", root / "host1/play"):
        directory.chmod(0o755)
    assert "(mode 0664)" in json.loads(read(root, "private"))[1][0]
    mend(json.loads(read(root, "private"))[1][0])
    assert json.loads(read(root, "private"))[1] == []


def test_directories_above_that_the_group_can_write_to(above: Path) -> None:
    """They are no news to those who trust the group; those of another group are."""
    root = above / "store"
    root.mkdir()
    os.chown(root, ALICE.uid, TEAM)
    root.chmod(0o2770)
    os.chown(above, ALICE.uid, TEAM)
    above.chmod(0o2775)
    assert does(BOB, lambda: write(root, document())) == "[]"
    os.chown(above, ALICE.uid, OTHER_TEAM)
    assert f"Other users can write to {above}" in does(BOB, lambda: write(root, document()))


def test_what_others_have_to_say(root: Path) -> None:
    """A command for somebody else of the team says that they share it."""
    params = {"backend": "filesystem", "state_dir": str(root), "record_key_file": None}
    place = {"async_job_backend": "filesystem", "async_job_state_dir": str(root)}
    assert settings_of({**params, "state_mode": "group"}) == {**place, "async_job_state_mode": "group"}
    assert settings_of({**params, "state_mode": "private"}) == place


def test_a_path_that_is_no_directory(above: Path) -> None:
    """It is said as it always was."""
    (above / "store").write_bytes(b"")
    with pytest.raises(AsyncJobError, match="not a directory") as caught:
        opened(above / "store").write(PATH, document())
    assert not isinstance(caught.value, StoreUnavailable)
