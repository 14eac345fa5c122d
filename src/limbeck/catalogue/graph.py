"""One update of a method as a layered graph: data, roles, what lies on the way, terms; and where each box goes.

Columns: 0 data, 1 roles, 2 .. K + 1 functions and learned parts, K + 2 terms. An edge that skips columns
passes each of them in a lane of its own, so that no line ever runs behind a text.
"""

import textwrap
from dataclasses import dataclass, field

from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.actions import Follow
from limbeck.plan.roles import role_of
from limbeck.plan.schedules import weight_words
from limbeck.plan.taps import Field, Item, Now, Source, State, Tap, Via, detach, leaves
from limbeck.transforms.facts import call_text
from limbeck.transforms.masks import known

ROW, GAP, PAD, TERM = 17, 14, 7, 218  # TERM: width for text in a term's box


@dataclass
class Box:
    """A box of the drawing: `head` lines, then one row per port; `y` of its top, set by `place`."""

    kind: str  # data, role, part, function, lane, term
    column: int
    head: tuple[str, ...] = ()
    trained: bool = False
    ports: dict[str, str] = field(default_factory=dict)  # key -> label
    y: float = 0.0
    full: str = ""  # the text alternative

    @property
    def height(self) -> float:
        return 10.0 if self.kind == "lane" else 2 * PAD + ROW * (len(self.head) + len(self.ports))

    def port_y(self, port: str) -> float:
        """The height at which an edge meets a port, or the box itself."""
        if port not in self.ports:
            return self.y + (self.height / 2 if self.kind in ("lane", "part", "function") else PAD + ROW / 2)
        return self.y + PAD + ROW * (len(self.head) + list(self.ports).index(port)) + ROW / 2


@dataclass(frozen=True)
class Edge:
    """From a box's port to another's; `stopped`: no gradient flows back."""

    start: str
    start_port: str
    end: str
    end_port: str
    stopped: bool = False


class Graph:
    """The boxes and edges of one update."""

    def __init__(self, method: Method, stage: Stage, update: Update, deployed: frozenset[str] = frozenset()):
        self.method, self.stage, self.update, self.deployed = method, stage, update, deployed
        self.boxes: dict[str, Box] = {}
        self.edges: dict[Edge, None] = {}
        self.depth = max((self._depth(s) for term in update.terms for s in _drawn(term).values()), default=0)
        self.trained = {role_of(path) for path in update.trains}
        for number, term in enumerate(update.terms):
            self._add_term(f"term {number}", term)
        self._name_data()
        self._split_long_edges()
        self._place()

    # ------------------------------------------------------------------------------------------ boxes

    def _depth(self, source: Source) -> int:
        if not isinstance(source, Via):
            return 0
        inner = max(self._depth(s) for s in source.sources)
        return inner if _silent(source) else inner + 1

    def _add_term(self, key: str, term: Term) -> None:
        by = call_text(term.by)
        weight = weight_words(term.weight)
        first, *more = textwrap.wrap(term.name, max(9, int((TERM - 10 - 6.5 * len(weight)) / 7.5))) or [""]
        head = (f"{first}\t{weight}", *(f"{line}\t" for line in more), by)  # a tab: name at the left, weight at the right
        box = Box("term", self.depth + 2, head, full=str(term))
        self.boxes[key] = box
        for name, source in _drawn(term).items():
            start, port, stopped, suffix = self._resolve(source)
            box.ports[name] = name + suffix
            self.edges[Edge(start, port, key, name, stopped)] = None

    def _resolve(self, source: Source) -> tuple[str, str, bool, str]:
        """The box and port that a source comes from, whether gradients stop on the way, and `[i]` if it picks."""
        if isinstance(source, Via) and _silent(source):
            start, port, stopped, suffix = self._resolve(source.sources[0])
            return start, port, stopped or source.fn is detach, suffix + _picks(source)
        if isinstance(source, Via):
            return self._add_via(source), "", False, ""
        if isinstance(source, Field):
            self._data().ports.setdefault(source.key, source.key)
            return "data", source.key, False, ""
        if isinstance(source, Now):
            words = source.of if isinstance(source.of, str) else weight_words(source.of)
            self.boxes.setdefault("time", Box("data", 0, ("time",), full="time: where the stage stands")).ports[words] = words
            return "time", words, False, ""
        return *self._add_role(source), False, ""

    def _add_via(self, source: Via) -> str:
        key = f"via {source}"
        if key in self.boxes:
            return key
        if isinstance(source.fn, str):
            part = self.method.parts.get(source.fn)
            trained = role_of(source.fn) in self.trained
            below = (call_text(part.build).split("[")[0],) if part else ()
            state = "trains" if trained else "frozen"
            full = f"{source.fn}: {', '.join((*below, state))}"
            box = Box("part", self._depth(source) + 1, (source.fn, *below, state), trained=trained, full=full)
        else:
            box = Box("function", self._depth(source) + 1, (call_text(source.fn),), full=call_text(source.fn))
        self.boxes[key] = box
        for inner in source.sources:
            start, port, stopped, _ = self._resolve(inner)
            self.edges[Edge(start, port, key, "", stopped)] = None
        return key

    def _add_role(self, leaf: Source) -> tuple[str, str]:
        assert isinstance(leaf, Tap | State)
        view = leaf.on if isinstance(leaf, Tap) else "inputs"
        key = f"role {leaf.role} {view}"
        if key not in self.boxes:
            head = (leaf.role + (f" on {view}" if view != "inputs" else ""), self._status(leaf.role))
            trained = leaf.role in self.trained
            self.boxes[key] = Box("role", 1, head, trained=trained, full=f"{head[0]}: {head[1]}")
        if isinstance(leaf, State):
            self.boxes[key].ports.setdefault(f"state {leaf.path}", f"weights {leaf.path}")
            return key, f"state {leaf.path}"
        port = f"{leaf.path} {leaf.io} {leaf.call}"
        label = ("input " + leaf.path).strip() if leaf.io == "input" else leaf.path or "logits"
        self.boxes[key].ports.setdefault(port, label + (f" call {leaf.call}" if leaf.call is not None else ""))
        self._data().ports.setdefault(f"view {view}", view)
        self.edges[Edge("data", f"view {view}", key, "")] = None
        return key, port

    def _status(self, role: str) -> str:
        kept = ", deployed" if role in self.deployed else ""
        if role not in self.trained:
            source = next((a.source for a in self.stage.after_step if isinstance(a, Follow) and a.role == role), "")
            return (f"average of {source}" if source else "frozen") + kept
        inner = [path[len(role) :] for path in self.update.trains if role_of(path) == role]
        if "" in inner:
            return "trains" + kept
        return "trains " + ", ".join(f"up to {p[1:]}" if p[0] == ":" else p[1:] for p in inner) + kept

    def _data(self) -> Box:
        return self.boxes.setdefault("data", Box("data", 0))

    def _name_data(self) -> None:
        """Name the source of batches; a learned part that no lane passes is what it is made from."""
        if "data" not in self.boxes:
            return
        box, source = self._data(), self.update.source
        if callable(source):
            name = getattr(source, "__name__", type(source).__name__)
            drawn = {role_of(b.head[0]) for b in self.boxes.values() if b.kind in ("role", "part")}
            hidden = [path for path in self.update.trains if role_of(path) not in drawn]
            box.head = (name, "trains" if hidden else "made here")
            box.trained = bool(hidden)
        else:
            first, *more = self.update.partitions or ("train",)
            box.head = (first, *(f"and {name}" for name in more))
        for port, view in box.ports.items():
            spelling = self.method.views.get(view, "")
            box.ports[port] = f"{view}: {spelling}" if port.startswith("view ") and spelling else view
        box.full = f"data: {' '.join(box.head)}; {', '.join(box.ports.values())}"

    # -------------------------------------------------------------------------------------- placement

    def _split_long_edges(self) -> None:
        """Give every edge that skips columns a lane in each; edges from one port share it."""
        edges, self.edges = list(self.edges), {}
        for edge in edges:
            start, port = edge.start, edge.start_port
            for column in range(self.boxes[edge.start].column + 1, self.boxes[edge.end].column):
                lane = f"lane {edge.start} {edge.start_port} {edge.stopped} {column}"
                self.boxes.setdefault(lane, Box("lane", column))
                self.edges[Edge(start, port, lane, "", edge.stopped)] = None
                start, port = lane, ""
            self.edges[Edge(start, port, edge.end, edge.end_port, edge.stopped)] = None

    def _place(self) -> None:
        """Stack the terms; then, column by column to the left, put each box beside what it feeds."""
        y = 0.0
        for box in self.column(self.depth + 2).values():
            box.y, y = y, y + box.height + GAP
        for column in range(self.depth + 1, -1, -1):
            self._place_column(self.column(column))
        top = min((box.y for box in self.boxes.values()), default=0.0)
        for box in self.boxes.values():
            box.y -= top

    def column(self, number: int) -> dict[str, Box]:
        """The boxes of a column by key."""
        return {key: box for key, box in self.boxes.items() if box.column == number}

    def _place_column(self, boxes: dict[str, Box]) -> None:
        wanted: dict[str, float] = {}
        middle: dict[str, float] = {}
        for key, box in boxes.items():
            targets: dict[str, list[float]] = {}
            for edge in self.edges:
                if edge.start == key:
                    targets.setdefault(edge.start_port, []).append(self.boxes[edge.end].port_y(edge.end_port))
            means = {port: sum(ys) / len(ys) for port, ys in targets.items()}
            box.ports = dict(sorted(box.ports.items(), key=lambda item: means.get(item[0], 0.0)))
            box.y = 0.0
            shifts = [mean - box.port_y(port) for port, mean in means.items()] or [0.0]
            wanted[key] = sum(shifts) / len(shifts)
            middle[key] = sum(means.values()) / len(means) if means else 0.0
        order = sorted(boxes, key=lambda key: (middle[key], key))
        offsets, total = [], 0.0
        for key in order:
            offsets.append(total)
            total += boxes[key].height + GAP
        tops = _rising([wanted[key] - offset for key, offset in zip(order, offsets)])
        for key, top, offset in zip(order, tops, offsets):
            boxes[key].y = top + offset

    @property
    def height(self) -> float:
        return max((box.y + box.height for box in self.boxes.values()), default=0.0)


def _rising(values: list[float]) -> list[float]:
    """The closest sequence that never falls (pool adjacent violators): boxes in order, none overlapping."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([value, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2], pools[-1]
            pools[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    return [mean for mean, count in pools for _ in range(int(count))]


def _drawn(term: Term) -> dict[str, Source]:
    """A term's inputs and its mask, unless that says no more than the labels do."""
    plain = term.mask is None or term.mask == Field("labels").via(known)
    return dict(term.inputs) if plain else {**term.inputs, "mask": term.mask}  # type: ignore[dict-item]


def _silent(source: Via) -> bool:
    return source.fn is detach or isinstance(source.fn, Item)


def _picks(source: Via) -> str:
    return f"[{source.fn.index}]" if isinstance(source.fn, Item) else ""


def deployed_roles(method: Method) -> frozenset[str]:
    """The roles whose answer is kept."""
    return frozenset(leaf.role for leaf in leaves(method.deployed) if isinstance(leaf, Tap | State))
