"""docs/routing.md says what the kernel does: its company and items are read from the page and played through it."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.routing.bounds import Danger, Demand, QueueOrder, overtaking, warnings
from app.routing.decisions import Decision, Match, Overflow
from app.routing.inputs import Agent, Item, Policy, Queue, Step
from app.routing.kernel import Kernel

PAGE = (Path(__file__).parents[1] / "docs" / "routing.md").read_text(encoding="utf-8")
QUEUES = {"Care": 1, "Billing": 2}
SKILLS = {"German": 1, "Billing": 2}
AGENTS = {"Ana": 1, "Ben": 2, "Cem": 3, "Dee": 4}
NAMES = {number: name for name, number in AGENTS.items()}


def at(clock: str) -> datetime:
    hours, minutes = clock.split(":")
    return datetime(2026, 3, 2, int(hours), int(minutes), tzinfo=UTC)


def table(heading: str, nth: int = 0) -> list[list[str]]:
    """The rows of the nth table below a heading, without the table's own."""
    _, _, below = PAGE.partition(f"\n## {heading}")
    section = below.partition("\n## ")[0]
    found = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[nth]
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in found.splitlines()]
    return rows[2:]


def levels(text: str) -> dict[int, int]:
    pairs = (part.split() for part in text.split(",") if part.strip())
    return {SKILLS[name]: int(level) for name, level in pairs}


BOOSTS = tuple(int(cell) for cell in table("The company")[0])


def company() -> list[Agent]:
    return [
        Agent(
            AGENTS[name],
            frozenset(QUEUES[queue.strip()] for queue in queues.split(",")),
            at(since),
            levels(skills),
            capacity=int(capacity),
            load=int(load),
            ready=state == "ready",
        )
        for name, queues, skills, capacity, load, state, since in table("The company", 1)
    ]


def waiting() -> list[Item]:
    found = []
    for number, queue, priority, ready, asks, more in table("What waits"):
        rank = at(ready) - timedelta(minutes=BOOSTS[int(priority) - 1])
        item = Item(int(number), 1, QUEUES[queue], rank, at(ready), requirements=levels(asks))
        if told := re.fullmatch(r"knows (\w+), waits (\d+) s", more):
            item = replace(item, preferred=AGENTS[told[1]], prefer_seconds=int(told[2]))
        elif told := re.fullmatch(r"after (\d+) s: (\w+) (\d)", more):
            item = replace(item, steps=(Step(int(told[1]), SKILLS[told[2]], int(told[3])),))
        elif told := re.fullmatch(r"refused by (\w+) until ([\d:]+)", more):
            item = replace(item, refused={AGENTS[told[1]]: at(told[2])})
        else:
            assert not more
        found.append(item)
    return found


def queues() -> dict[int, Queue]:
    (minutes,) = re.findall(r"not taken for (\d+) minutes overflows to Billing", PAGE)
    billing = Queue(QUEUES["Billing"], Policy.BEST_SKILLED)
    return {1: Queue(QUEUES["Care"], overflow_to=billing.id, overflow_after=60 * int(minutes)), 2: billing}


def told(decisions: list[Decision]) -> list[list[str]]:
    """Decisions as the page's tables have them."""
    names = {number: name for name, number in QUEUES.items()}
    return [
        [str(one.item.id), names[one.to] if isinstance(one, Overflow) else NAMES[one.agent_id]] for one in decisions
    ]


def shown(heading: str) -> list[list[str]]:
    return [row[:2] for row in table(heading)]


def opened() -> tuple[Kernel, list[Decision]]:
    kernel = Kernel()
    for queue in (queues()[2], queues()[1]):
        kernel.put_queue(queue)
    for agent in company():
        kernel.put_agent(agent)
    for item in waiting():
        kernel.put_item(item)
    return kernel, kernel.run(at("12:00"))


def test_there_are_ten_items_and_four_agents() -> None:
    assert (len(waiting()), len(company())) == (10, 4)


def test_the_order_on_the_page_is_the_order_of_ranks() -> None:
    ordered = sorted(waiting(), key=lambda item: (item.rank, item.id))
    assert [[str(item.id), f"{item.ready_at:%H:%M}", f"{item.rank:%H:%M}"] for item in ordered] == [
        [number, ready, rank] for number, ready, _, rank in table("In which order")
    ]
    for number, _, minus, _ in table("In which order"):
        [item] = [item for item in waiting() if item.id == int(number)]
        assert f"{(item.ready_at - item.rank).total_seconds() / 60:g} min" == minus


def test_the_offers_of_noon_are_those_on_the_page() -> None:
    _, decisions = opened()
    assert told(decisions) == shown("12:00, what is offered")
    first = decisions[0]
    assert isinstance(first, Match)
    assert [(NAMES[one.agent_id], one.margin) for one in first.candidates] == [("Cem", 4), ("Ben", 1)]


def test_the_reasons_of_those_who_wait_are_those_on_the_page() -> None:
    kernel, _ = opened()
    for number, *reasons in table("12:00, what is offered", 1):
        rejected = kernel.explain_item(int(number), at("12:00")).rejected
        assert [rejected[agent].replace("_", " ") for agent in sorted(NAMES)] == reasons, number


def test_what_happens_next_is_what_the_page_says() -> None:
    kernel, decisions = opened()
    offered = {one.item.id for one in decisions}
    left = [item.id for item in waiting() if item.id not in offered]
    firsts = [(number, kernel.explain_item(number, at("12:00")).upcoming[:1]) for number in left]
    coming = {(str(n), f"{one.at:%H:%M}", one.what.replace("_", " ")) for n, upcoming in firsts for one in upcoming}
    assert coming == {tuple(row) for row in table("12:00, what is offered", 2)}


def test_the_minutes_after_noon_go_as_the_page_tells() -> None:
    kernel, _ = opened()
    ana, dee = company()[0], company()[3]
    assert kernel.next_at() == at("12:01")
    kernel.put_agent(replace(ana, load=1, available_since=at("12:00")))
    assert told(kernel.run(at("12:01"))) == shown("12:01, German relaxes and an item overflows")
    kernel.put_agent(replace(dee, load=0, available_since=at("12:02")))
    assert told(kernel.run(at("12:02"))) == shown("12:02, Dee closes both her items")
    assert kernel.explain_item(6, at("12:02")).kept_for == AGENTS["Dee"]


def test_the_bound_and_the_deadlock_on_the_page_are_computed() -> None:
    orders = [QueueOrder(number, name, BOOSTS) for name, number in QUEUES.items()]
    [bound] = [one for one in overtaking(orders, company()) if (one.queue_id, one.priority) == (1, 5)]
    assert "up to 8 h after it" in bound.sentence
    [ninth] = [item for item in waiting() if item.id == 9]
    skills = {number: name for name, number in SKILLS.items()}
    [concern] = warnings(orders, queues(), [Demand("Lawyers", 4, ninth)], company(), names=NAMES, skills=skills)
    assert concern.danger == Danger.DEADLOCK
    assert concern.sentence.startswith("Nobody on the roster could ever take ")
