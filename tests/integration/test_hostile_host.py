# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users of a host, and writers of records, can make of files and processes: it misleads nobody, and nobody else has to suffer."""

from __future__ import annotations

import json
import typing as t

import pytest
from faults import Job, Scene
from plays import Yaml
from records import put
from waiting import until

SECRET = "for root only"
APP_DIR = "/home/app/.ansible_async"
AS_APP: Yaml = {"become": True, "become_user": "app"}

# What a user may put in the place of a results file, and what is said of it then.
TRAPS = {
    "mkfifo FILE": "not a regular file",
    "ln -s /etc/secret FILE": "is a link",
    "ln -s FILE FILE": "is a link",
    "mkdir FILE": "not a regular file",
    "truncate -s 1G FILE": "larger than",
    "printf '%0100000d' 0 | tr 0 '[' >FILE": "nested too deeply",
    """python3 -c "print('{\\"a\\":' * 90 + '1' + '}' * 90)" >FILE""": "nested too deeply",
    """printf '{"rc": %0100000d}' 0 | tr 0 7 >FILE""": "thousands of digits",
}
SOUND = """printf '{"rc": 0, "changed": true, "stdout": "fine"}' >FILE"""


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """The same, with a file of root's on h1 that looks like a result."""
    scene.shell("h1", f'printf \'%s\' \'{{"rc": 0, "stdout": "{SECRET}"}}\' >/etc/secret; chmod 600 /etc/secret')
    return scene


def ask(scene: Scene, *tasks: Yaml, options: t.Sequence[str] = ()) -> list[t.Any]:
    """What these tasks return on h1, and nothing of what root alone may read is ever printed."""
    found = scene.ask("h1", *tasks, options=options)
    assert SECRET not in json.dumps(found)
    return found


def status(**args: t.Any) -> Yaml:
    """A task that looks at jobs."""
    return {"rstyczynski.ansible.async_job_status": args}


def cancel(name: str) -> Yaml:
    """A task that cancels a job."""
    return {"rstyczynski.ansible.async_job_cancel": {"job_name": name, "grace_period": 2}}


def prune(name: str) -> Yaml:
    """A task that removes all that there is of a job that has ended."""
    return {"rstyczynski.ansible.async_job_prune": {"job_name_pattern": name, "older_than": "0s", "apply": True}}


def durable(name: str, command: str, **keywords: t.Any) -> Yaml:
    """A task that starts a job of app."""
    job = {"job_name": name, "task": {"ansible.builtin.shell": command}}
    return {"rstyczynski.ansible.async_job": job, "async": 600, "poll": 0, **AS_APP, **keywords}


def save(name: str, job_id: str, **args: t.Any) -> Yaml:
    """A task that saves a job of app."""
    args = {"job_name": name, "ansible_job_id": job_id, "results_file": f"{APP_DIR}/{job_id}", **args}
    return {"rstyczynski.ansible.async_job_state": args}


def rewrite(scene: Scene, name: str, **fields: t.Any) -> None:
    """Be somebody who may write to the store."""
    record = {**scene.controller.record(name, host="h1"), **fields}
    (scene.controller.state_dir / "h1" / "test" / f"{name}.json").write_text(json.dumps(record))


def app(scene: Scene, script: str) -> None:
    """Do something as app."""
    scene.shell("h1", 'cd / && exec setpriv --reuid=app --regid=app --clear-groups sh -c "$1"', script)


def alive(scene: Scene, text: str) -> list[int]:
    """The processes of the host with this text in their command lines."""
    return [process.pid for process in scene.processes("h1").values() if text in process.line]


def test_results_files(scene: Scene) -> None:
    """Whatever there is in place of one job's results file, only that job is unknown, and soon so."""
    files = {f"job{number}": (f"j{number}.77", made) for number, made in enumerate([SOUND, *TRAPS, SOUND], 1)}
    app(scene, f"mkdir {APP_DIR}; " + "; ".join(made.replace("FILE", f"{APP_DIR}/{job_id}") for job_id, made in files.values()))
    ask(scene, *(save(name, job_id) for name, (job_id, _made) in files.items()))
    [looked] = ask(scene, {**status(job_names=list(files), look_timeout=20)})
    assert "jobs" in looked, looked
    for (name, (_job_id, made)), answer in zip(files.items(), looked["jobs"], strict=True):
        if made == SOUND:
            assert (answer["status"], answer["stdout"]) == ("succeeded", "fine"), answer
        else:
            assert answer["status"] == "unknown", (name, made, answer["reason"])
            assert TRAPS[made] in answer["reason"], (made, answer["reason"])


def test_files_of_an_attempt(scene: Scene) -> None:
    """The command of a job may change the files of its attempt: that shows nobody another file, and stops no look."""
    traps = {
        "link": "ln -sf /etc/secret $d/stdout",
        "pipe": "rm $d/stderr; mkfifo $d/stderr",
        "result": "ln -s /etc/secret $d/result",
        "blanks": "printf 'PROGRESS 1/2 a%64000s' b",
    }
    ask(scene, *(durable(name, f"d=$ASYNC_JOB_ATTEMPT_DIR; {trap}; touch /tmp/{name}; sleep 1000") for name, trap in traps.items()))
    until(lambda: scene.test("h1", " && ".join(f"test -e /tmp/{name}" for name in traps)))
    [looked] = ask(scene, status(job_names=list(traps), look_timeout=20))
    assert [answer["status"] for answer in looked["jobs"]] == ["running"] * len(traps), looked
    warnings = " ".join(looked["warnings"])
    assert "stdout cannot be read: it is a link" in warnings
    assert "stderr cannot be read: it is not a regular file" in warnings
    assert looked["jobs"][3]["progress"] == {"current": 1, "total": 2, "text": f"a{' ' * 63999}b"}
    cancelled = ask(scene, *(cancel(name) for name in traps))
    assert [answer["status"] for answer in cancelled] == ["cancelled"] * len(traps)
    assert not alive(scene, "sleep 1000")


def test_note_of_a_cancelled_job(scene: Scene) -> None:
    """Root writes nothing into a directory of the user, wherever that leads by then."""
    ask(scene, durable("job", "touch /tmp/ready; exec sleep 1000"))
    until(lambda: scene.test("h1", "test -e /tmp/ready"))
    record = scene.controller.record("job", host="h1")
    directory, job_id = record["attempt_dir"], record["ansible_job_id"]
    scene.shell("h1", "mkdir /etc/target && chmod 755 /etc/target")
    app(scene, f"cp -rp {directory} /tmp/copy; mv {directory} {directory}.away; ln -s /etc/target {directory}")
    scene.shell("h1", f"cp -p {directory}.away/attempt.json {directory}.away/{job_id} /etc/target/")
    [cancelled] = ask(scene, cancel("job"))
    assert scene.shell("h1", f"cat /etc/target/{job_id}") == scene.shell("h1", f"cat {directory}.away/{job_id}"), cancelled
    assert scene.shell("h1", "ls /etc/target").split() == ["attempt.json", job_id]


def test_record_leads_elsewhere(scene: Scene) -> None:
    """Whoever writes a record reads, removes and stops nothing with it that is another's."""
    ask(scene, durable("job", "exec sleep 1000"), durable("other", "exec sleep 2000"))
    other = scene.controller.record("other", host="h1")
    rewrite(scene, "job", **{name: other[name] for name in ("ansible_job_id", "attempt_dir", "async_dir", "results_file", "stdout_file")})
    looked, cancelled = ask(scene, status(job_name="job"), cancel("job"))
    assert looked["status"] == "unknown"
    assert "'stderr_file' holds" in looked["reason"]
    rewrite(scene, "job", stderr_file=other["stderr_file"])
    [looked] = ask(scene, status(job_name="job"))
    assert "directory of another job" in looked["reason"]
    assert cancelled["failed"]
    assert "Nothing was stopped" in cancelled["msg"]
    rewrite(scene, "job", status="failed", end="2026-01-01T00:00:00Z", start="2026-01-01T00:00:00Z", save_time="2026-01-01T00:00:00Z")
    ask(scene, prune("job"))
    assert alive(scene, "sleep 2000")
    assert scene.test("h1", f"test -e {other['results_file']}")
    [looked] = ask(scene, status(job_name="other"))
    assert looked["status"] == "running"


@pytest.mark.parametrize("owner", ["app", "root"])
def test_output_file_in_a_record(scene: Scene, owner: str) -> None:
    """A file that somebody has named is read as the user of the job, whom the kernel tells, and not at all if nobody knows that one."""
    app(scene, f"mkdir {APP_DIR}; {SOUND.replace('FILE', f'{APP_DIR}/j1.77')}; echo mine >/home/app/log")
    fields = {"become_user": owner, "stdout_file": "/etc/secret", "stderr_file": "/home/app/log"}
    ask(scene, save("job", "j1.77", **fields), save("gone", "j2.77", **fields))
    found, gone = ask(scene, status(job_name="job", output="full"), status(job_name="gone", output="full"))
    if owner == "app":
        assert (found["status"], found["stdout"], found["stderr"]) == ("succeeded", "", "mine\n")
        assert "/etc/secret cannot be read" in " ".join(found["warnings"])
    else:
        assert (found["status"], found["stdout"], found["stderr"]) == ("unknown", "", "")
        assert "belongs to the user 'app'" in found["reason"]
    assert (gone["stdout"], gone["stderr"]) == ("", "")


def test_cleanup_of_another_file(scene: Scene) -> None:
    """Only what can be a results file is removed."""
    app(scene, f"mkdir {APP_DIR}; ln -s /etc/passwd {APP_DIR}/j1.77; mkfifo {APP_DIR}/j2.77")
    ask(scene, save("file", "j3.77"), save("link", "j1.77"), save("pipe", "j2.77"))
    rewrite(scene, "file", async_dir="/etc", results_file="/etc/passwd", ansible_job_id="passwd")
    tasks = [status(job_name=name, mode="cleanup") for name in ("file", "link", "pipe")]
    by_id = {**status(jid="passwd", mode="cleanup"), "vars": {"ansible_async_dir": "/etc"}}
    for answer in ask(scene, *tasks, by_id):
        assert answer["failed"]
    assert scene.test("h1", "test -s /etc/passwd")


def test_false_wrapper(scene: Scene) -> None:
    """Another user of the host says that a process is the wrapper of a job, or belongs to it: a dead job stays dead."""
    ask(scene, durable("job", "touch /tmp/ready; exec sleep 1000"))
    until(lambda: scene.test("h1", "test -e /tmp/ready"))
    record = scene.controller.record("job", host="h1")
    job = Job("h1", "job", record["ansible_job_id"])
    scene.kill_all(job)
    until(lambda: not alive(scene, "sleep 1000"))
    number = job.id.rpartition(".")[0]
    command = "import os, sys, time; os.setsid(); os.fork() and os._exit(0); open(f'/tmp/false.{os.getuid()}', 'w'); time.sleep(3000)"
    # The second one has the rights of the user of the job, as a set-user-ID program has which anybody may run.
    scene.shell(
        "h1",
        "exec >/dev/null 2>&1; export ANSIBLE_ASYNC_DIR=$1; app=$(id -u app);"
        " as='setpriv --reuid=op --regid=op --clear-groups'; with=\"setpriv --ruid=daemon --euid=$app --regid=op --clear-groups\";"
        ' $as python3 -c "$3" /x/async_wrapper.py $2 600 a b & $with python3 -c "$3" /x/async_wrapper.py $2 600 a b & $as sleep 3000 &',
        record["attempt_dir"],
        number,
        command,
    )
    until(lambda: scene.test("h1", "ls /tmp/false.*"))
    until(lambda: len(scene.shell("h1", "ls /tmp/false.* | cat").splitlines()) == 2)
    looked, cancelled = ask(scene, status(job_name="job"), cancel("job"))
    assert looked["status"] == "killed", looked["reason"]
    assert cancelled["stopped"] == []
    [pruned] = ask(scene, prune("job"))
    assert pruned["removed"] == 1, pruned
    assert not scene.test("h1", f"test -e {record['attempt_dir']}")
    assert len(alive(scene, "3000")) >= 3


def test_a_process_that_hides_beside_a_start(scene: Scene) -> None:
    """Nobody holds up the recovery of a job that was about to be started by claiming to be its wrapper."""
    directory = scene.shell("h1", "echo ~/.ansible_async/").strip() + "0123456789abcdef" * 2
    now = scene.shell("h1", "mkdir -p -m 700 ~/.ansible_async; cat /proc/sys/kernel/random/boot_id").strip()
    put(
        scene.controller.state_dir,
        "job",
        host="h1",
        playbook="test",
        status="prepared",
        ansible_job_id="",
        attempt_dir=directory,
        async_dir=directory,
        remote_user="root",
        boot_id=now,
        claim={"who": "somebody who is gone", "fenced": 0},
    )
    # What others may not look at, seems to be root's.
    hides = "import ctypes, time; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); open('/tmp/hides', 'w'); time.sleep(600)"
    scene.shell(
        "h1",
        'exec >/dev/null 2>&1; ANSIBLE_ASYNC_DIR=$1 setpriv --reuid=op --regid=op --clear-groups python3 -c "$2" &',
        directory,
        hides,
    )
    until(lambda: scene.test("h1", "test -e /tmp/hides"))
    assert scene.shell("h1", "stat -c %u /proc/$(pgrep -U op python)/environ").strip() == "0"
    task = {"job_name": "job", "task": {"ansible.builtin.command": "true"}, "claim_timeout": 1}
    [started] = ask(scene, {"rstyczynski.ansible.async_job": task, "async": 60, "poll": 1})
    assert started.get("status") == "succeeded", started


def test_system_without_sessions(scene: Scene) -> None:
    """Where nobody tells the session of a process, a job is what descends from its wrapper."""
    scene.shell(
        "h1",
        """cat >/opt/python-of-root <<'END'
#!/bin/sh
exec unshare -m sh -c 'mkdir -p /run/proc && mount --bind /proc /run/proc && mount -t tmpfs none /proc && exec "$@"' sh "$PYTHON" "$@"
END
cat >/usr/local/sbin/ps <<'END'
#!/bin/sh
[ -d /run/proc/1 ] || exec /usr/bin/ps "$@"
exec unshare -m sh -c 'mount --bind /run/proc /proc && exec /usr/bin/ps "$@"' sh "$@"
END
sed -i "s|\\$PYTHON|$1|" /opt/python-of-root; chmod +x /opt/python-of-root /usr/local/sbin/ps""",
        scene.hosts.pythons[scene.hosts._current],
    )
    jobs = scene.hold("h1", "job", "other", "orphan")
    scene.shell("h1", "exec >/dev/null 2>&1; setsid sleep 4000 & sleep 4001 &")
    scene.kill("h1", "KILL", *(process.pid for process in scene.wrappers(jobs["orphan"])))
    scene.user("root", "ansible_python_interpreter=/opt/python-of-root")
    looked, cancelled, orphan = ask(scene, status(job_names=["job", "orphan"]), cancel("job"), cancel("orphan"))
    assert looked["jobs"][0]["status"] == "running"
    assert (cancelled["changed"], cancelled["status"]) == (True, "cancelled")
    assert not scene.commands(jobs["job"])
    assert not orphan["changed"]
    assert scene.commands(jobs["orphan"])
    assert len(scene.wrappers(jobs["other"])) == 2
    assert alive(scene, "sleep 4000")
    assert alive(scene, "sleep 4001")


@pytest.mark.parametrize(
    ("mode", "owner", "who"),
    [
        ("0777", "app", "Everybody"),
        ("0755", "op", "Another user"),
        ("1777", "op", "Another user"),
        ("0775", "app:op", "Whoever is in the group"),
        ("0775", "root:op", "Whoever is in the group"),
    ],
)
@pytest.mark.parametrize("place", ["/opt/jobs", "/opt/jobs/of/app"])
def test_directory_of_others(scene: Scene, mode: str, owner: str, who: str, place: str) -> None:
    """Others may replace what is there, or what is below it, so that nobody could tell whose it is."""
    scene.shell("h1", f"mkdir -m {mode} /opt/jobs; chown {owner} /opt/jobs; mkdir -p {place}; [ {place} = /opt/jobs ] || chown app {place}")
    task = durable("job", "true", vars={"ansible_async_dir": place})
    [refused] = ask(scene, task)
    assert refused["failed"]
    assert who in refused["msg"]
    assert "may write to /opt/jobs on h1" in refused["msg"]
    scene.shell("h1", "chown root:root /opt/jobs; chmod 1777 /opt/jobs")
    [started] = ask(scene, task)
    assert not started["failed"], started


def test_a_link_of_another_user_on_the_way(scene: Scene) -> None:
    """Root makes nothing where a user has led it."""
    app(scene, "mkdir /home/app/real; ln -s /etc /home/app/real/x")
    [refused] = ask(scene, {**durable("job", "true", vars={"ansible_async_dir": "/home/app/real/x/y"}), "become": False})
    assert refused["failed"]
    assert "may write to /home/app/real/x on h1" in refused["msg"]
    assert scene.test("h1", "test ! -e /etc/y")


def test_a_group_of_ones_own(scene: Scene) -> None:
    """It has the name of its user and another number, and the user lets it write to all that is new: nobody else is in it."""
    scene.shell("h1", "groupadd -g 2345 deploy; useradd -m -u 2001 -g 2345 deploy; echo 'umask 002' >>/home/deploy/.profile")
    try:
        scene.shell("h1", "sudo -u deploy sh -c 'umask 002; mkdir -p ~deploy/of_all/jobs'")
        task = {**durable("job", "true", vars={"ansible_async_dir": "/home/deploy/of_all/jobs"}), "become_user": "deploy"}
        [started] = ask(scene, task)
        assert not started["failed"], started["msg"]
    finally:
        scene.shell("h1", "userdel -r deploy; groupdel deploy 2>/dev/null; true")


WRAPPERS = {
    "nothing": "",
    "a crash": json.dumps({"failed": 1, "data": "", "stderr": "", "msg": "No start of json char found"}),
    "the limit": json.dumps({"failed": True, "msg": "Timeout exceeded", "child_pid": 4242}),
}


@pytest.mark.parametrize("says", WRAPPERS, ids="the wrapper says {}".format)
def test_how_a_command_has_ended_is_odd(scene: Scene, says: str) -> None:
    """Its user has put that there, so nobody can tell, whatever the wrapper says, and after a reboot, too. Nothing is started."""
    task = durable("job", "echo run >>/tmp/ledger")
    task["rstyczynski.ansible.async_job"]["restart_on"] = ["killed", "failed", "lost", "timed_out"]
    ask(scene, task)
    record = scene.controller.record("job", host="h1")
    until(lambda: scene.test("h1", f"grep -q rc {record['results_file']}"))  # the wrapper has written what it has to
    # What the record has learned of the end meanwhile would be enough for it.
    before = {name: value for name, value in record.items() if name not in ("result", "end", "ended", "reason")}
    for odd in ("mkfifo $d/result", "ln -s /etc/secret $d/result", "echo 99999999999999999999 >$d/result"):
        rewrite(scene, "job", **{**before, "status": "running"})
        app(scene, f"d={record['attempt_dir']}; printf %s '{WRAPPERS[says]}' >{record['results_file']}; rm $d/result; {odd}")
        looked, again = ask(scene, status(job_name="job"), task)
        assert looked["status"] == "unknown", (odd, looked["reason"])
        assert "result, which says how its command has ended," in looked["reason"]
        assert (again["failed"], again["changed"]) == (True, False)
    assert scene.shell("h1", "cat /tmp/ledger") == "run\n"
    scene.hosts.reboot("h1")
    [looked] = ask(scene, status(job_name="job"))
    assert looked["status"] == "unknown", looked["reason"]


def test_what_tells_a_directory_says_something_else(scene: Scene) -> None:
    """Lines of its user's are none of ours."""
    app(scene, f"mkdir {APP_DIR}; printf 'x\\nasync_job:above=/tmp\\nasync_job:writable=Nobody' >{APP_DIR}/.async_job")
    [started] = ask(scene, {**durable("job", "true", vars={"ansible_async_dir": APP_DIR}), "become_user": "app"})
    assert not started["failed"], started["msg"]
    assert set(scene.controller.record("job", host="h1")["place"]["directory"]) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "place", [APP_DIR, "/opt/sticky", "/home/app/of_root"], ids=["of the user", "that all may write to", "of root, below one of the user"]
)
def test_file_of_root_in_a_directory_of_a_user(scene: Scene, place: str) -> None:
    """Anybody may move a file of root's that lies in a directory of theirs. It lends its owner's rights to nothing."""
    app(scene, f"mkdir {APP_DIR}; ln -s /etc/secret /home/app/log")
    scene.shell("h1", "mkdir -m 1777 /opt/sticky; mkdir /home/app/of_root")
    scene.shell("h1", f"touch {place}/j1.77")
    ask(scene, save("job", "j1.77", stdout_file="/home/app/log", results_file=f"{place}/j1.77"))
    [looked] = ask(scene, status(job_name="job", output="tail", store_output=True))
    assert looked["stdout"] == ""
    assert SECRET not in json.dumps(scene.controller.record("job", host="h1"))


def test_swapped_directory(scene: Scene) -> None:
    """Whoever may rename the directory of an attempt does not get another one believed: it belongs to the user that was noted."""
    ask(scene, {**durable("job", "exec sleep 1000"), "become": False, "vars": {"ansible_async_dir": "/opt/jobs"}})
    record = scene.controller.record("job", host="h1")
    place, job_id = record["attempt_dir"], record["ansible_job_id"]
    until(lambda: scene.test("h1", f"test -e {place}/stdout"))
    scene.shell("h1", f"mv {place} {place}.x; mkdir -m 700 {place}; cp {place}.x/attempt.json {place}; chown -R app {place}")
    app(scene, f'printf \'{{"rc": 0, "changed": true}}\' >{place}/{job_id}; echo LIES >{place}/stdout')
    [looked] = ask(scene, status(job_name="job"))
    assert looked["status"] == "unknown"
    assert "belongs to the user 'app', and not to the user 'root'" in looked["reason"]
    assert looked["stdout"] == ""


def test_more_values_than_anybody_reads(scene: Scene) -> None:
    """A few megabytes may stand for gigabytes. Texts may be as long as before."""
    many = """python3 -c "print('{\\"rc\\": 0, \\"x\\": [' + '[],' * 3000000 + '1]}')" >FILE"""
    long = """python3 -c "print('{\\"rc\\": 0, \\"stdout\\": \\"' + '[a, {' * 3000000 + '\\"}')" >FILE"""
    files = {"many": many, "long": long, "sound": SOUND}
    app(
        scene,
        f"mkdir {APP_DIR}; " + "; ".join(made.replace("FILE", f"{APP_DIR}/j{number}.77") for number, made in enumerate(files.values())),
    )
    ask(scene, *(save(name, f"j{number}.77") for number, name in enumerate(files)))
    [looked] = ask(scene, status(job_names=list(files), output="tail", look_timeout=30))
    assert [answer["status"] for answer in looked["jobs"]] == ["unknown", "succeeded", "succeeded"], looked
    assert "holds more than 1000000 values" in looked["jobs"][0]["reason"]


def test_attempts_that_nothing_marks(scene: Scene) -> None:
    """Of a directory without a mark, and of fences, only those are removed that the job's own user has."""
    scene.shell("h1", "mkdir -m 1777 /opt/jobs")
    ask(scene, durable("job", "true", vars={"ansible_async_dir": "/opt/jobs"}))
    own = scene.controller.record("job", host="h1")
    until(lambda: scene.test("h1", f"test -e {own['attempt_dir']}/result"))
    place, fence = f"/opt/jobs/{'d' * 32}", f"/opt/jobs/{'e' * 32}"
    scene.shell(
        "h1", f"mkdir -m 700 {place}; touch {place}/result {place}/12.5 /opt/jobs/{'e' * 32}; chown -R op {place} /opt/jobs/{'e' * 32}"
    )
    scene.shell("h1", f"touch -d '30 days ago' /opt/jobs/{'e' * 32}")
    fields = {"async_dir": place, "attempt_dir": place, "results_file": f"{place}/{own['ansible_job_id']}"}
    output = {stream: f"{place}/{stream[:6]}" for stream in ("stdout_file", "stderr_file")}
    [looked] = ask(scene, status(job_name="job"))
    assert looked["status"] == "succeeded", looked["reason"]
    ask(scene, prune("job"))
    assert not scene.test("h1", f"test -e {own['attempt_dir']}")
    assert scene.test("h1", f"test -e /opt/jobs/{'e' * 32}")
    file = scene.controller.state_dir / "h1" / "test" / "job.json"
    scene.shell("h1", f"touch {place}/{own['ansible_job_id']}; chown op {place}/{own['ansible_job_id']}")
    for users in ({"become_user": ""}, {"become_user": "", "remote_user": ""}, {"become_user": "op"}):
        record = {**own, **fields, **output, "status": "failed", "end": "2026-01-01T00:00:00Z", **users}
        file.write_text(json.dumps(record))
        [pruned] = ask(scene, prune("job"))
        assert scene.test("h1", f"test -e {place}/result && test -e {place}/12.5 && test -e {fence}"), (users, pruned)


def test_processes_of_others_beside_a_start(scene: Scene) -> None:
    """Sessions without a leader that another user makes while a job is being started do not make a dead job look alive."""
    flood = "for n in $(seq 300); do setsid sh -c 'sleep 5000 &'; sleep 0.02; done"
    scene.shell("h1", 'setpriv --reuid=op --regid=op --clear-groups sh -c "$1" >/dev/null 2>&1 & sleep 0.2', flood)
    jobs = scene.hold("h1", "job")
    until(lambda: len(alive(scene, "sleep 5000")) > 250)
    scene.kill_all(jobs["job"])
    [looked] = ask(scene, status(jid=jobs["job"].id))
    assert (looked["status"], looked["processes"]) == ("killed", []), looked["reason"]


def test_a_host_that_answers_oddly_about_one_job(scene: Scene) -> None:
    """A Python of that host changes one of its answers: that job is unknown, and the others are told of."""
    scene.shell(
        "h1",
        """cat >/opt/odd-python <<'END'
#!/bin/sh
"$PYTHON" "$@" | sed 's/"status": "succeeded"/"status": "splendid"/'
END
sed -i "s|\\$PYTHON|$1|" /opt/odd-python; chmod +x /opt/odd-python""",
        scene.hosts.pythons[scene.hosts._current],
    )
    jobs = scene.hold("h1", "job")
    scene.ended(scene.start("h1", {"done": "echo done"})["done"])
    scene.user("root", "ansible_python_interpreter=/opt/odd-python")
    [looked] = ask(scene, status(job_names=["done", "job"]))
    assert [answer["status"] for answer in looked["jobs"]] == ["unknown", "running"]
    assert "job 'done' on h1: The answer of the host has no such status" in looked["jobs"][0]["reason"]
    assert jobs
