# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the nodes of a graph are drawn: in layers, so that all edges lead the same way, few of them cross, and most are nearly straight.

An edge that passes layers gets a point in each of them, which is placed like a node that takes less room. The order within a layer follows
the mean places of the neighbours, first down, then up, a few times; the places then are the closest to those means that leave room for all.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.shown import layers_of

_SWEEPS = 6
# More points than these make no drawing that anybody could read: long edges are straight then.
_MOST_POINTS = 5000
# How much room there is between two nodes, between a node and an edge, and between two edges
_ROOM = (0.45, 0.75, 1.0)

Point = t.Tuple[int, float]
"""The number of a layer, and the place in it, in units of nodes."""


class Drawing(t.NamedTuple):
    """A graph as it is drawn."""

    places: dict[str, Point]
    edges: list[tuple[str, str, list[Point]]]
    """From which node to which, and the points in between."""
    layers: int
    width: float
    """How much room the widest layer takes, in units of nodes."""


def drawing_of(graph: Graph) -> Drawing:
    """Lay out a graph."""
    layers: list[list[t.Any]] = [[*layer] for layer in layers_of(graph)]
    layer_of: dict[t.Any, int] = {name: number for number, layer in enumerate(layers) for name in layer}
    edges = [(parent, name) for name in graph.order for parent in graph.parents[name]]
    passed = sum(layer_of[name] - layer_of[parent] - 1 for parent, name in edges)
    routes: list[list[t.Any]] = []
    for parent, name in edges:
        between = [] if passed > _MOST_POINTS else [(parent, name, number) for number in range(layer_of[parent] + 1, layer_of[name])]
        for point in between:
            layer_of[point] = point[2]
            layers[point[2]].append(point)
        routes.append([parent, *between, name])
    up: dict[t.Any, list[t.Any]] = {one: [] for one in layer_of}
    down: dict[t.Any, list[t.Any]] = {one: [] for one in layer_of}
    for route in routes:
        for before, after in zip(route, route[1:]):
            up[after].append(before)
            down[before].append(after)
    place: dict[t.Any, float] = {one: float(number) for layer in layers for number, one in enumerate(layer)}
    for sweep in range(_SWEEPS):
        neighbours = up if sweep % 2 == 0 else down
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            means = {one: _mean(place, neighbours[one], place[one]) for one in layer}
            layer.sort(key=lambda one: means[one])
            place.update((one, float(number)) for number, one in enumerate(layer))
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = [_mean(place, (up if sweep % 2 == 0 else down)[one], place[one]) for one in layer]
            place.update(zip(layer, _spread(wanted, [_room(*pair) for pair in zip(layer, layer[1:])])))
    least = min(place.values(), default=0.0)
    places = {name: (layer_of[name], round(place[name] - least, 2)) for name in graph.order}
    drawn = [
        (str(route[0]), str(route[-1]), [(layer_of[point], round(place[point] - least, 2)) for point in route[1:-1]]) for route in routes
    ]
    return Drawing(places, drawn, len(layers), round(max(place.values(), default=0.0) - least + 1, 2))


def _mean(place: dict[t.Any, float], others: t.Sequence[t.Any], own: float) -> float:
    return sum(place[one] for one in others) / len(others) if others else own


def _room(one: t.Any, other: t.Any) -> float:
    return _ROOM[isinstance(one, str) + isinstance(other, str)]


def _spread(wanted: t.Sequence[float], rooms: t.Sequence[float]) -> list[float]:
    """Return the places closest to what is wanted that keep their order and leave this room between each other.

    Less the room before it, each place has to be at least the one before: neighbours that want it the other way round share their mean.
    """
    offsets = [0.0]
    for room in rooms:
        offsets.append(offsets[-1] + room)
    blocks: list[list[float]] = []  # the sum of what is wanted, and by how many
    for want, offset in zip(wanted, offsets):
        blocks.append([want - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    means = [total / count for total, count in blocks for _one in range(int(count))]
    return [mean + offset for mean, offset in zip(means, offsets)]
