"""The page of reliability and the tests of faults say the same: no promise without a test, no figure without one."""

from collections import Counter

from tests.faults import figures


def test_every_fault_that_is_tried_has_its_last_figures_on_each_engine() -> None:
    kept = Counter((row.fault, row.engine) for row in figures.rows())
    tried = figures.promised()
    assert tried - set(kept) == set(), "run: ./run faults -k …; FAULTS=short does it quickly"
    assert set(kept) - tried == set(), "no test gives figures of these any more: take them out of last-run.json"
    assert set(kept.values()) == {1}


def test_no_fault_failed_when_it_was_last_tried() -> None:
    failed = [row for row in figures.rows() if row.result.startswith(figures.FAILED)]
    assert failed == []
