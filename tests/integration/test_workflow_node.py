# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook of a node writes about itself: how far it is, how it has ended, what it has set, and no secret."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from controller import Controller
from plays import Yaml

_SECRETS = ("s3cr3t", "v4ult", "other-v4ult")


def stats(**data: object) -> Yaml:
    """Return a task that sets these."""
    return {"ansible.builtin.set_stats": {"data": data}, "run_once": True}


def _encrypted(controller: Controller, name: str, text: str) -> str:
    """Return a line of YAML with a vaulted variable."""
    words = ["vault", "encrypt_string", "--vault-password-file", "password", "--name", name, text]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", *words],
        cwd=controller.project,
        env=controller.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_node_tells_of_itself(controller: Controller, tmp_path: Path) -> None:
    """With a callback of the user's own beside it, which goes on as ever."""
    (controller.project / "password").write_text("open sesame\n")
    (controller.project / "password").chmod(0o600)
    vaulted = "".join(_encrypted(controller, name, text) for name, text in (("token", "v4ult"), ("other", "other-v4ult")))
    controller.write("secrets.yml", vaulted)
    (controller.project / "group_vars").mkdir()
    controller.write("group_vars/all.yml", _encrypted(controller, "of_hosts", "v4ult-of-hosts"))
    controller.write("late.yml", _encrypted(controller, "late", "v4ult-too-late"))
    controller.hosts("web1", "web2", "web3")
    tasks: list[Yaml] = [
        {"name": "Say {{ of_hosts }}", "ansible.builtin.debug": {"msg": "hello"}},
        {"name": "Learn more", "ansible.builtin.include_vars": "late.yml"},
        {"name": "Use {{ late }}", "ansible.builtin.debug": {"msg": "hello"}},
        stats(plain="{{ greeting }}", number=3, nested={"a": ["b"]}),
        stats(whole="{{ token }}", part="x{{ token }}", far="{{ through }}", deep={"in": "{{ other }}"}),
        {**stats(hidden="s3cr3t"), "no_log": True},
        stats(twice="{{ token }}"),
        stats(twice="more"),
        {**stats(plain="again"), "when": "inventory_hostname == 'web1'"},
        {"block": [{"name": "Rescued", "ansible.builtin.command": "false"}], "rescue": [{"ansible.builtin.debug": {"msg": "fine"}}]},
        {"name": "Ignored", "ansible.builtin.command": "false", "ignore_errors": True},
        {"name": "Quiet", "ansible.builtin.fail": {"msg": "s3cr3t"}, "no_log": True, "when": "inventory_hostname == 'web3'"},
        {"name": "Restart", "ansible.builtin.fail": {"msg": "no such service"}, "when": "inventory_hostname == 'web2'"},
    ]
    first = {"name": "one", "hosts": "all", "gather_facts": False, "vars_files": ["secrets.yml"], "tasks": tasks}
    first["vars"] = {"through": "{{ other }}!"}
    controller.write("node.yml", json.dumps([first]))
    attempt = tmp_path / "attempt"
    attempt.mkdir()
    source = Path(__file__).parents[2] / "plugins" / "callback" / "async_workflow_node.py"
    shutil.copy(source, attempt / "node.py")
    own = controller.project / "mine"
    own.mkdir()
    (own / "seen.py").write_text(
        "from ansible.plugins.callback import CallbackBase\n"
        "class CallbackModule(CallbackBase):\n"
        "    CALLBACK_TYPE, CALLBACK_NAME = 'notification', 'seen'\n"
        "    def v2_playbook_on_stats(self, stats):\n"
        "        self._display.display('SEEN BY MINE')\n"
    )
    (attempt / "node.vars").write_text("---\ngreeting: !unsafe '{{ 1 + 1 }}'\n")
    environment = {"ASYNC_WORKFLOW_NODE_DIRECTORY": str(attempt), "ANSIBLE_CALLBACK_PLUGINS": f"{attempt}:{own}"}
    options = ["-i", controller.inventory, "-e", f"@{attempt}/node.vars", "--vault-password-file", "password", "node.yml"]
    ran = controller.run("playbook", *options, env=environment)
    assert ran.rc == 2, ran.output
    report = json.loads((attempt / "node.json").read_text())
    assert (report["ended"], report["failed"]) == (True, True)
    assert report["problems"] == [
        {"host": "web2", "task": "Restart", "msg": "no such service"},
        {"host": "web3", "task": "Quiet", "msg": "no_log hides what it says"},
    ]
    assert report["counts"]["web1"] == {"ok": 11, "changed": 1, "failures": 0, "unreachable": 0, "skipped": 2, "rescued": 1, "ignored": 1}
    artifacts = report["artifacts"]
    assert {name: artifacts[name] for name in ("plain", "number", "nested")} == {
        "plain": {"value": "{{ 1 + 1 }}again"},  # set_stats adds to what is there
        "number": {"value": 3},
        "nested": {"value": {"a": ["b"]}},
    }
    # Encrypted as it was, or by name only. Nothing else.
    kept = {name for name, artifact in artifacts.items() if artifact.keys() == {"vault"}}
    assert kept | {*report["secret"]} == {"whole", "part", "far", "deep", "hidden", "twice"}
    assert {"part", "deep", "hidden"} <= {*report["secret"]}
    text = (attempt / "node.json").read_text()
    assert not [secret for secret in _SECRETS if secret in text]
    assert not (attempt / "node.vars").exists()
    assert (attempt / "node.json").stat().st_mode & 0o777 == 0o600
    assert "SEEN BY MINE" in ran.output
    steps = [line for line in ran.output.splitlines() if line.startswith("PROGRESS ")]
    assert steps[0] == "PROGRESS 1/14 Say ********"
    assert steps[2] == "PROGRESS 3/14 Use ********"
    assert steps[-1] == "PROGRESS 14/14 Restart"
