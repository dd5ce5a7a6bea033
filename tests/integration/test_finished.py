# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a job has ended, as async_job_info and the role async_job_load tell it from the record."""

from __future__ import annotations

import json
import re

from controller import Controller
from records import put

from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED, STATUSES

PLAY = """
- name: Nightly
  hosts: web1
  gather_facts: false
  tasks:
    - name: Ask for each
      rstyczynski.ansible.async_job_info:
        job_name: "{{ item }}"
      loop: NAMES
      register: asked

    - name: Load each, and note what is said
      ansible.builtin.include_tasks: load.yml
      loop: NAMES

    - name: Tell
      ansible.builtin.debug:
        msg:
          info: "{{ dict(asked.results | map(attribute='item') | zip(asked.results | map(attribute='finished'))) }}"
          role: "{{ told }}"
"""

LOAD = """
- name: Load
  ansible.builtin.include_role:
    name: rstyczynski.ansible.async_job_load
  vars:
    async_job_load_job_name: "{{ item }}"

- name: Note
  ansible.builtin.set_fact:
    told: "{{ told | default({}) | combine({item: async_job_load_finished}) }}"
"""


def test_what_has_ended_is_said_once(controller: Controller) -> None:
    """The module says it of every word of the vocabulary, and the role takes it from there. What is not there has not ended."""
    for status in STATUSES:
        place = f"/var/tmp/{'0' * 32}" if status == "prepared" else None
        put(controller.state_dir, status, status=status, async_dir=place, attempt_dir=place)
    older = put(controller.state_dir, "older")
    assert "status" not in json.loads(older.read_text())
    names = [*STATUSES, "older", "none"]
    controller.write("load.yml", LOAD)
    ran = controller.playbook(PLAY.replace("NAMES", json.dumps(names)), "-i", "web1,").ok()
    [text] = re.findall(r"^ok: \[web1\] => (\{\n.*?^\})$", ran.output, flags=re.M | re.S)[-1:]
    told = json.loads(text)["msg"]
    expected = {name: name in ENDED for name in names}
    assert told["info"] == expected
    assert told["role"] == expected
