"""Original: the row that leaves everything as it is."""

from mubench.methods.original import original


def test_nothing_changes_and_nothing_is_read(lab, bits):
    done = lab().run(original)

    assert bits(done.before, done.after)
    assert bits(done.buffers_before, done.buffers_after)
    assert done.cost == (0, 0)
    assert done.ledger.reads == {"forget": 0, "retain": 0}
    assert original.__mubench__[0].sees == ()
