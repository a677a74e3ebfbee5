"""What the scripts beside this one share: the time of a step, and where times go."""

import json
import time


def fastest(step):
    """Nanoseconds of the fastest call."""
    samples = []
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end or len(samples) < 7:
        start = time.perf_counter_ns()
        step()
        samples.append(time.perf_counter_ns() - start)
    return float(min(samples))


def write(file, version, times):
    """Times in nanoseconds by `group/peer/input_size`, for `bench-table`."""
    file.write_text(json.dumps({"version": version, "nanoseconds": times}, indent=1))
