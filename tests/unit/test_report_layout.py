# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the report draws the nodes of a graph."""

from __future__ import annotations

import itertools
import random
import time

from workflows import define, random_definition

from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.layout import Drawing, drawing_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph

OK = "succeeded"


def crossings(drawing: Drawing) -> int:
    """Return how many pairs of lines between two layers cross."""
    lines = []
    for parent, name, points in drawing.edges:
        stops = [drawing.places[parent], *points, drawing.places[name]]
        lines += [(one[0], one[1], other[1]) for one, other in itertools.pairwise(stops)]
    return sum(
        layer == other_layer and (a - c) * (b - d) < -1e-9
        for number, (layer, a, b) in enumerate(lines)
        for other_layer, c, d in lines[:number]
    )


def test_a_chain_is_straight_and_a_diamond_is_even() -> None:
    chain = drawing_of(Graph(define({"a": {}, "b": {"all": {"a": OK}}, "c": {"all": {"b": OK}}})))
    assert chain.places == {"a": (0, 0), "b": (1, 0), "c": (2, 0)}
    assert (chain.layers, chain.width) == (3, 1)
    edges = {"b": {"all": {"a": OK}}, "c": {"all": {"a": OK}}, "d": {"all": {"b": OK, "c": OK}}}
    diamond = drawing_of(Graph(define({"a": {}, **edges})))
    assert diamond.places == {"a": (0, 0.5), "b": (1, 0), "c": (1, 1), "d": (2, 0.5)}


def test_an_edge_passes_beside_what_it_passes() -> None:
    """It has a point in each layer in between, with room to all nodes there."""
    drawing = drawing_of(Graph(define({"a": {}, "b": {"all": {"a": OK}}, "c": {"all": {"b": OK, "a": "failed"}}})))
    [points] = [points for parent, name, points in drawing.edges if (parent, name) == ("a", "c")]
    [(layer, place)] = points
    assert layer == 1
    assert abs(place - drawing.places["b"][1]) >= 0.75


def test_lines_do_not_cross_if_they_need_not() -> None:
    """Two trees, whose nodes the file has mixed up."""
    nodes = {"x": {}, "y": {}}
    for number in range(6):
        nodes[f"n{number}"] = {"all": {"xy"[number % 2]: OK}}
    assert crossings(drawing_of(Graph(define(nodes)))) == 0


def test_any_graph() -> None:
    """Each node has its place, in a layer after those of its parents, and nothing is on top of anything else."""
    chance = random.Random(9)
    for _turn in range(200):
        graph = Graph(random_definition(chance, 25))
        drawing = drawing_of(graph)
        assert [*drawing.places] == graph.order
        assert len(drawing.edges) == sum(map(len, graph.parents.values()))
        there = sorted([*drawing.places.values(), *(point for _parent, _name, points in drawing.edges for point in points)])
        for (layer, one), (other_layer, other) in itertools.pairwise(there):
            assert layer != other_layer or other - one > 0.43
        assert min(place for _layer, place in drawing.places.values()) >= 0
        assert max(place for _layer, place in there) <= drawing.width - 0.99
        for name, parents in graph.parents.items():
            assert all(drawing.places[parent][0] < drawing.places[name][0] for parent in parents)
        assert drawing_of(graph) == drawing


def test_large_graphs_take_no_time() -> None:
    names = [f"n{number}" for number in range(500)]
    chance = random.Random(2)
    nodes = {name: {"all": dict.fromkeys(chance.sample(names[:number], min(number, 3)), OK)} for number, name in enumerate(names)}
    graph = Graph(define(nodes))
    began = time.process_time()
    drawing_of(graph)
    assert time.process_time() - began < 5
