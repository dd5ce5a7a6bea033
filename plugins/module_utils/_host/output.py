# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a background job, on the host where it runs: all of it, its end, or what is new.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import STDERR, STDOUT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import directory_of_job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Refused, file_of

# How much new output one look brings at most, in bytes. What is left comes with the next one.
_MOST_NEW = 1 << 20
# How much output one look brings at most, in bytes. Ansible itself cannot handle results that are much larger.
_MOST = 32 << 20
# How much of the end of the output is searched for a line about progress, in bytes.
_RECENT = 1 << 16
# What follows is taken apart without a pattern: one that looks for blanks at the end can be made to take minutes.
_PROGRESS = re.compile(r"^PROGRESS ([0-9]{1,15})/([0-9]{1,15})([ \t\r].*)?$", re.MULTILINE)


class Output(t.NamedTuple):
    """What there is of one stream."""

    text: str
    size: int
    """Of all that was written so far, in bytes."""
    offset: int
    """Where what is new next time begins, in bytes."""
    problem: str = ""
    gone: bool = False
    cut: bool = False
    """Whether the text lacks something of it: what was before, or, of what is new, what comes next time."""


class Reader:
    """The output of one job, and the rights to read it."""

    def __init__(self, job: Job, result: dict[str, t.Any] | None, user: int | None, *, has_ended: bool = False) -> None:
        """Take what a look has seen.

        :arg has_ended: whether nothing more will be written, result or not
        :arg result: has the output that the command leaves to Ansible
        :arg user: who runs the job, as far as that is proven. A file that somebody has named is read with no other rights
        """
        self._job = job
        self._result = result or {}
        self._user = user
        self._has_ended = has_ended or bool(result)

    def both(self, which: str, tail_size: int) -> tuple[Output, Output]:
        """Read the output, and the error output.

        :arg which: C(full), C(tail) or C(new)
        """
        job = self._job
        stdout = self._stream(STDOUT, job.stdout_file, which, tail_size, job.stdout_offset)
        stderr = self._stream(STDERR, job.stderr_file, which, tail_size, job.stderr_offset)
        if job.exclusive and job.stdout_file and self._has_ended and self._result.get("strip_empty_ends", True):
            # As Ansible's own modules do with the output of a command that has ended
            return stdout._replace(text=stdout.text.rstrip("\r\n")), stderr._replace(text=stderr.text.rstrip("\r\n"))
        return stdout, stderr

    def progress(self) -> dict[str, t.Any] | None:
        """Return how far a job has come, by the last line C(PROGRESS 41/60 text) that it has written to a file.

        None if there is no such line.
        """
        if not self._job.stdout_file:
            return None
        lines = _PROGRESS.findall(self._stream(STDOUT, self._job.stdout_file, "tail", _RECENT, 0).text)
        current, total, text = lines[-1] if lines else ("0", "0", "")
        if not int(current) <= int(total) > 0:  # step 5 of 3 is none, and says that nobody knows any more
            return None
        return {"current": int(current), "total": int(total), "text": text.strip(" \t\r")}

    def kept(self) -> dict[str, t.Any] | None:
        """Return what the record of the job is to keep of its output. None if that is nothing, or the output is gone."""
        if not self._job.keep:
            return None
        stdout, stderr = self.both("tail", self._job.keep)
        if stdout.gone:
            return None
        progress = self.progress()
        return {"stdout": stdout.text, "stderr": stderr.text, **({"progress": progress} if progress else {})}

    def _stream(self, name: str, path: str, which: str, tail_size: int, offset: int) -> Output:
        """Read one stream of the job.

        :arg name: that of its file in the directory of an attempt
        :arg path: the file that its command writes to; empty if it leaves the output to Ansible, which has it only in the result
        """
        if not path:
            text = self._result.get(name)
            # Ansible keeps bytes that are not UTF-8 as lone surrogates.
            content = text.encode("utf-8", "surrogatepass" if _RAW.search(text) else "surrogateescape") if isinstance(text, str) else b""
            return _part(io.BytesIO(content), which, tail_size, offset)
        try:
            with self._open(name, path) as file:
                return _part(file, which, tail_size, offset)
        except FileNotFoundError:
            return Output("", 0, 0, gone=True)
        except OSError as error:
            return Output(
                "",
                0,
                offset,
                f"The output {path} cannot be read: it {error.strerror}."
                if isinstance(error, Refused)
                else f"The output {path} cannot be read: {error.strerror}.",
            )

    @contextlib.contextmanager
    def _open(self, name: str, path: str) -> t.Iterator[t.BinaryIO]:
        if self._job.exclusive:
            if path != os.path.join(self._job.directory, name):
                raise Refused("is not in the directory of the attempt")
            with directory_of_job(self._job) as directory, directory.open(name) as file:
                yield file
        elif self._user is None:
            raise Refused("belongs to a job of which nothing proves whose it is")
        else:
            with file_of(path, self._user) as file:
                yield file


# Surrogates that stand for no byte
_RAW = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def _part(file: t.BinaryIO, which: str, tail_size: int, offset: int) -> Output:
    size = file.seek(0, io.SEEK_END)
    begin, most = max(size - _MOST, 0), _MOST
    if which == "tail":
        most = min(tail_size, _MOST)
        begin = max(size - most, 0)
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
    end = begin + len(content)
    return Output(text, size, end - len(decoder.getstate()[0]), cut=end < size if which == "new" else begin > 0)
