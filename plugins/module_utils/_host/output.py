# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a background job, on the host where it runs: all of it, its end, or what is new.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job

# How much new output one look brings at most, in bytes. What is left comes with the next one.
_MOST_NEW = 1 << 20
# How much of the end of the output is searched for a line about progress, in bytes.
_RECENT = 1 << 16
_PROGRESS = re.compile(r"^PROGRESS (\d{1,15})/(\d{1,15})(?:[ \t]+(.*?))?[ \t\r]*$", re.MULTILINE)


class Output(t.NamedTuple):
    """What there is of one stream."""

    text: str
    size: int
    """Of all that was written so far, in bytes."""
    offset: int
    """Where what is new next time begins, in bytes."""
    problem: str = ""


def stdout_of(job: Job, result: dict[str, t.Any] | None, which: str, tail_size: int) -> Output:
    """The output of a job. See :func:`_stream`."""
    return _stream(job.stdout_file, (result or {}).get("stdout"), which, tail_size, job.stdout_offset)


def stderr_of(job: Job, result: dict[str, t.Any] | None, which: str, tail_size: int) -> Output:
    """The error output of a job. See :func:`_stream`."""
    return _stream(job.stderr_file, (result or {}).get("stderr"), which, tail_size, job.stderr_offset)


def progress_of(job: Job) -> dict[str, t.Any] | None:
    """How far a job has come, by the last line C(PROGRESS 41/60 text) that it has written to a file. None if there is no such line."""
    if not job.stdout_file:
        return None
    lines = _PROGRESS.findall(_stream(job.stdout_file, None, "tail", _RECENT, 0).text)
    found = [line for line in lines if int(line[1])]
    if not found:
        return None
    current, total, text = found[-1]
    return {"current": int(current), "total": int(total), "text": text}


def _stream(path: str, text: t.Any, which: str, tail_size: int, offset: int) -> Output:
    """One stream of a job.

    :arg path: the file that its command writes to; empty if it leaves the output to Ansible, which has it only in the result
    :arg text: the output in the result
    :arg which: C(full), C(tail) or C(new)
    """
    if not path:
        # Ansible keeps bytes that are not UTF-8 as lone surrogates.
        return _part(io.BytesIO(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else b""), which, tail_size, offset)
    try:
        # A pipe without a writer would make us wait for one.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Output("", 0, offset, f"The output {path} cannot be read: it is not a regular file.")
            return _part(file, which, tail_size, offset)
    except FileNotFoundError:
        return Output("", 0, 0)
    except OSError as error:
        return Output("", 0, offset, f"The output {path} cannot be read: {error.strerror}.")


def _part(file: t.BinaryIO, which: str, tail_size: int, offset: int) -> Output:
    size = file.seek(0, io.SEEK_END)
    begin, most = 0, -1
    if which == "tail":
        begin, most = max(size - tail_size, 0), tail_size
    elif which == "new":
        begin, most = offset if offset <= size else 0, _MOST_NEW  # a file that has become shorter was begun anew
    file.seek(begin)
    content = file.read(most)
    if which == "tail" and begin:
        skip = next((count for count in range(min(4, len(content))) if content[count] & 0xC0 != 0x80), 0)
        content = content[skip:]
    # A character whose bytes are not all there yet comes next time.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(content, final=which != "new")
    return Output(text, size, begin + len(content) - len(decoder.getstate()[0]))
