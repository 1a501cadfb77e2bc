"""The measures by number."""

from benchmarks import calls, importing, throughput
from benchmarks.figures import Measure

MEASURES: dict[str, Measure] = {
    "S1": throughput.one_a_message,
    "S2": throughput.hundred_a_message,
    "S3": throughput.hundred_on_postgresql,
    "S9": calls.store_calls,
    "S11": importing.importing,
}
