"""Records of lines, as the rows that the protocol knows: registrations, statuses, items, pages, slots, old overrides."""

from __future__ import annotations

from celery_process.instants import from_us, to_us
from celery_process.protocol.entities import Item, Page, Status, Work
from celery_process.protocol.model import Overrides, SlotEntry, WorkStatus
from celery_process.protocol.reports import Totals
from celery_process.protocol.rows import Tally
from celery_process.protocol.states import SlotEnd, WorkList
from celery_process.protocol.tokens import task_of
from celery_process.stores.redis.keys import slot_at, slot_text
from celery_process.stores.redis.records import LETTERS, LISTS, OUTCOMES, STATES, decode_errors, decode_stats, instant

FOLDED = 6
"""Lines that an item keeps once its page is folded: state, outcome, list, two that are empty, token."""
FAULTLESS = 15
"""Lines of an item that had no error."""
_REST = ("0", "", "0", "0", "0", "0", "0", "")
"""Lines that a faultless item leaves out."""
NO_VERSION = -1
"""The version of an item whose record does not keep it any more."""


def read_work(name: str, record: str) -> Work:
    """Return a registration."""
    on, listed, version, params = record.split("\n", 3)
    return Work(name, LISTS[on], from_us(int(listed)), params, int(version))


def work_record(work: Work) -> str:
    """Return the record that `read_work` reads."""
    return f"{work_beginning(work)}{work.params}"


def work_beginning(work: Work) -> str:
    """Return how the record of a registration begins: nothing changes in the rest of it unless that does."""
    return f"{LETTERS[work.on]}\n{to_us(work.listed_at)}\n{work.version}\n"


def read_status(name: str, record: str) -> Status:
    """Return how the last run of a name ended."""
    line = record.split("\n")
    version, epoch, outcome, attempt, started, finished, stats, count, error_at, entries, *token = line
    status = WorkStatus(
        state=OUTCOMES[outcome],
        stats=decode_stats(stats),
        errors=decode_errors(entries),
        total_errors=int(count),
        last_error_at=instant(error_at),
        started_at=instant(started),
        finished_at=instant(finished),
        attempt=int(attempt),
        task_id=task_of(token[0] if token else None),
    )
    return Status(name, int(version), int(epoch), status)


def read_item(epoch: int, name: str, record: str) -> Item:
    """Return an item; of the texts of its present attempt the record has their number alone."""
    line = record.split("\n")
    state, outcome, on = STATES[line[0]], OUTCOMES.get(line[1]), LISTS[line[2]]
    if len(line) <= FOLDED:
        return Item(epoch, name, on, 0, NO_VERSION, state, line[5], outcome=outcome)
    if len(line) == FAULTLESS:
        line += _REST
    return Item(
        epoch=epoch,
        name=name,
        on=on,
        page=int(line[6]),
        version=int(line[7]),
        state=state,
        token=line[5],
        sequence=int(line[9] or 0),
        attempt=int(line[8]),
        lease_until=instant(line[10]),
        started_at=instant(line[11]),
        finished_at=instant(line[12]),
        dispatched_at=instant(line[13]),
        dispatches=int(line[14]),
        outcome=outcome,
        totals=Totals(decode_stats(line[3]), decode_stats(line[4]), (), int(line[18]), (), int(line[20])),
        error_count=int(line[15]),
        errors=decode_errors(line[22]),
        last_error_at=instant(line[16]),
    )


def read_tally(lines: str, items: int) -> Tally:
    """Return a tally: of open items the letter of their state, of others the lines that they add to their run."""
    letter, *more = lines.split("\n")
    if not more:
        return Tally(WorkList.ACTIVE, STATES[letter], items=items)
    outcome, on, stats, run_stats, _ = more
    return Tally(
        LISTS[on], STATES[letter], OUTCOMES.get(outcome), Totals(decode_stats(stats), decode_stats(run_stats)), items
    )


def read_page(epoch: int, number: str, record: str) -> tuple[Page, list[str]]:
    """Return a page and its names."""
    on, opened, token, *names = record.split("\n")
    return Page(epoch, int(number), token, LISTS[on], from_us(int(opened))), names


def read_entry(slot: str, record: str) -> SlotEntry:
    """Return an entry of the ledger."""
    end, at, run, after, by = record.split("\n", 4)
    return SlotEntry(slot_at(slot), SlotEnd(end), from_us(int(at)), by, run or None, slot_at(after) if after else None)


def entry_record(entry: SlotEntry) -> str:
    """Return the record that `read_entry` reads."""
    after = "" if entry.after is None else slot_text(entry.after)
    return "\n".join((entry.end, str(to_us(entry.at)), entry.run_id or "", after, entry.by))


def read_version(record: str) -> Overrides:
    """Return the overrides in a record of their history."""
    version, changed, settings, schedule, by = record.split("\n", 4)
    return Overrides(settings or None, schedule or None, int(version), instant(changed), by)


def version_record(overrides: Overrides) -> str:
    """Return the record that `read_version` reads."""
    changed = "" if overrides.changed_at is None else to_us(overrides.changed_at)
    return f"{overrides.version}\n{changed}\n{overrides.settings or ''}\n{overrides.schedule or ''}\n{overrides.by}"
