"""The measures by number."""

from benchmarks import calls, connections, importing, recovery, register, scale, sweep, throughput
from benchmarks.figures import Measure

MEASURES: dict[str, Measure] = {
    "S1": throughput.one_a_message,
    "S2": throughput.hundred_a_message,
    "S3": throughput.hundred_on_postgresql,
    "S3C": connections.ends,
    "S4": scale.scale,
    "S6": scale.progress,
    "S7": sweep.idle_sweep,
    "S8": register.bulk,
    "S9": calls.store_calls,
    "S10": recovery.recovery,
    "S11": importing.importing,
}
