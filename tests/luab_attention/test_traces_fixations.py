"""I-DT and I-VT, by hand and against pymovements."""

import numpy as np
import pytest

from luab_attention.traces.fixations import (
    fixation_path,
    fixations_by_dispersion,
    fixations_by_speed,
    is_even,
)
from luab_attention.traces.kinematics import speeds
from luab_attention.traces.resampling import resample
from luab_attention.traces.scanpath import Scanpath

STAYS = [0.1] * 6 + [0.3, 0.5] + [0.7] * 6  # 20 ms apart: at 0.1 until 100 ms, at 0.7 from 160 to 260 ms


def path(x, time=None, segment=None):
    xy = np.stack([np.array(x, float), np.full(len(x), 0.5)], axis=1)
    time = np.arange(len(x)) * 20.0 if time is None else np.array(time, float)
    return Scanpath(xy, time, np.zeros(len(x), int) if segment is None else np.array(segment))


@pytest.mark.parametrize("find", [fixations_by_dispersion, fixations_by_speed])
def test_two_stays_by_hand(find):
    found = find(path(STAYS))
    # The speed of a sample is that of the step to it: the sample that arrives at 0.7 is still fast.
    late = 20 if find is fixations_by_speed else 0
    assert found.onset.tolist() == [0.0] + ([160.0] if not late else [])
    found = find(path(STAYS), min_duration=80)
    assert found.onset.tolist() == [0.0, 160.0 + late] and found.offset.tolist() == [100.0, 260.0]
    assert found.xy[:, 0].tolist() == pytest.approx([0.1, 0.7])
    assert found.samples.tolist() == [6, 5 if late else 6]


def test_a_window_grows_while_its_dispersion_is_allowed():
    drift = path([0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09])
    found = fixations_by_dispersion(drift, dispersion=0.0501, min_duration=80)
    # Six samples span 0.05; the rest spans 0.03 and lasts 60 ms, which is too short.
    assert found.offset.tolist() == [100.0] and found.samples.tolist() == [6]
    assert len(fixations_by_dispersion(drift, dispersion=0.0501, min_duration=60).onset) == 2


def test_no_fixation_goes_across_segments():
    apart = path([0.5] * 10, segment=[0] * 5 + [1] * 5)
    for find in (fixations_by_dispersion, fixations_by_speed):
        assert len(find(apart, min_duration=100).onset) == 0
        assert find(apart, min_duration=80).onset.tolist() == [0.0, 100.0]


def test_a_resting_cursor_without_events_is_a_fixation_by_dispersion():
    found = fixations_by_dispersion(path([0.1, 0.11, 0.8], [0, 700, 720]))
    assert found.duration.tolist() == [700.0]


def test_a_rest_before_a_step_is_found_after_resampling():
    """A mouse rests for 2 s without events: no sample says so until it is resampled."""
    rested = path([0.1, 0.3, 0.5, 0.7], [0, 16, 2016, 2032])
    even = resample(rested, 60)
    assert not is_even(rested) and is_even(even)
    for find in (fixations_by_dispersion, fixations_by_speed):
        assert len(find(rested).onset) == 0
        (lasted,) = find(even).duration
        assert lasted == pytest.approx(2000, abs=40)


def test_rounded_times_and_one_lost_sample_are_of_a_fixed_rate():
    assert is_even(path([0.1] * 5, [0, 16, 33, 50, 83])) and is_even(path([0.1], [0]))
    assert not is_even(path([0.1] * 5, [0, 16, 33, 50, 101]))
    # Between segments there is no interval.
    assert is_even(path([0.1] * 4, [0, 16, 900, 916], [0, 0, 1, 1]))


def test_fixations_become_a_scanpath_with_durations():
    found = fixations_by_dispersion(path(STAYS), min_duration=80)
    made = fixation_path(path(STAYS), found)
    assert made.duration.tolist() == [100.0, 100.0] and made.time.tolist() == [0.0, 160.0]
    with pytest.raises(ValueError, match="fixations already"):
        fixations_by_speed(made)


def test_one_sample_has_no_fixation_and_no_times_are_refused():
    for find in (fixations_by_dispersion, fixations_by_speed):
        assert find(path([0.5])).xy.shape == (0, 2)
        with pytest.raises(ValueError, match="without times"):
            find(Scanpath(np.zeros((2, 2)), None, np.zeros(2, int)))
        with pytest.raises(ValueError, match="min_duration=-1"):
            find(path([0.5]), min_duration=-1)


def gaze(seed: int, number: int = 400) -> Scanpath:
    """Stays of random length at random places, with noise, a sample each 4 ms, and saccades between."""
    rng = np.random.default_rng(seed)
    places = np.zeros((0, 2))
    while len(places) < number:
        stay = rng.random(2) + rng.normal(0, 0.003, (int(rng.integers(20, 80)), 2))
        way = np.linspace(places[-1], stay[0], 6)[1:-1] if len(places) else np.zeros((0, 2))
        places = np.concatenate([places, way, stay])
    return Scanpath(places[:number], np.arange(number) * 4.0, np.zeros(number, int))


@pytest.mark.parametrize("seed", range(5))
def test_fixations_by_speed_are_those_of_pymovements(seed):
    detection = pytest.importorskip("pymovements.events.detection", reason="pip install 'luab[traces]'")
    samples = gaze(seed)
    velocity = np.diff(samples.xy, axis=0) / 0.004
    velocity = np.concatenate([velocity[:1], velocity])
    theirs = detection.ivt(
        velocity, samples.time.astype(int), minimum_duration=60, velocity_threshold=6.0
    ).frame
    ours = fixations_by_speed(samples, 6.0, 60)
    assert len(ours.onset) >= 3
    assert ours.onset.tolist() == theirs["onset"].to_list()
    assert ours.offset.tolist() == theirs["offset"].to_list()


@pytest.mark.parametrize("seed", range(5))
def test_fixations_by_dispersion_are_those_of_pymovements(seed):
    """Its windows have one sample less at the start, and keep the sample that breaks the threshold."""
    detection = pytest.importorskip("pymovements.events.detection", reason="pip install 'luab[traces]'")
    samples = gaze(seed)
    theirs = detection.idt(
        samples.xy, samples.time.astype(int), minimum_duration=64, dispersion_threshold=0.05
    ).frame
    ours = fixations_by_dispersion(samples, 0.05, 60)
    assert len(ours.onset) >= 3
    assert ours.onset.tolist() == theirs["onset"].to_list()
    last = samples.time[-1]
    assert [min(offset + 4, last) for offset in ours.offset] == theirs["offset"].to_list()


@pytest.mark.parametrize("seed", range(3))
def test_speeds_are_those_of_pymovements(seed):
    transforms = pytest.importorskip("pymovements.transforms.numpy", reason="pip install 'luab[traces]'")
    samples = gaze(seed)
    theirs = transforms.pos2vel(samples.xy, sampling_rate=250, method="preceding")
    assert np.allclose(speeds(samples), np.hypot(*np.asarray(theirs)[1:].T))
