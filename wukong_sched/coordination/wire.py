"""Tasks, tiles, todo entries and stories as text: how records read in a coordination store.

A task or tile is written ``potrf[3,1]``, a range ``leaf/0@8:16``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from wukong_sched.errors import Story
from wukong_sched.messages import Owed
from wukong_sched.program import Task, Tile


def task_text(task: Task | Tile) -> str:
    """A task or tile as text.

    >>> task_text(("potrf", (3, 1)))
    'potrf[3,1]'
    """
    return f"{task[0]}[{','.join(map(str, task[1]))}]"


def to_task(text: str) -> Task:
    """The task or tile that `task_text` wrote.

    >>> to_task("a[b][-1]"), to_task("(sink)[]")
    (('a[b]', (-1,)), ('(sink)', ()))
    """
    name, _, index = text[:-1].rpartition("[")
    return name, tuple(map(int, index.split(","))) if index else ()


def owed_text(owed: Owed) -> str:
    """An entry of a todo as text.

    >>> owed_text(("leaf", 0, 8, 16))
    'leaf/0@8:16'
    """
    return task_text(owed) if len(owed) == 2 else f"{owed[0]}/{owed[1]}@{owed[2]}:{owed[3]}"


def to_owed(text: str) -> Owed:
    """The entry that `owed_text` wrote.

    >>> to_owed("a/b/0@8:16")
    ('a/b', 0, 8, 16)
    """
    if text.endswith("]"):
        return to_task(text)
    rule, _, numbers = text.rpartition("/")
    piece, _, bounds = numbers.partition("@")
    start, _, stop = bounds.partition(":")
    return rule, int(piece), int(start), int(stop)


def story_text(story: Story) -> str:
    """A story as JSON."""
    return json.dumps([story.operation, story.array, story.index, story.cause])


def to_story(text: str) -> Story | None:
    """The story that `story_text` wrote; None for nothing.

    >>> to_story(story_text(Story("qr", "q", (1,), "boom")))
    Story(operation='qr', array='q', index=(1,), cause='boom')
    """
    if not text:
        return None
    operation, array, index, cause = json.loads(text)
    return Story(operation, array, tuple(index), cause)


def counts_text(counts: Iterable[tuple[Tile, int]]) -> str:
    """Wide tiles with how many of their edges are announced, as JSON."""
    return json.dumps([[task_text(tile), count] for tile, count in counts])


def to_counts(text: str) -> dict[Tile, int]:
    """What `counts_text` wrote; empty for nothing.

    >>> to_counts(counts_text([(("a", (0,)), 7)]))
    {('a', (0,)): 7}
    """
    return {to_task(tile): count for tile, count in json.loads(text or "[]")}
