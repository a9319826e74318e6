"""Simulated annotators against the real server, over HTTP."""

import json

import pytest
from fixtures.trials import add_person, make_trial

from luab_collect.commands import run
from luab_collect.project import Project
from luab_collect.store import people
from luab_collect.store.opening import ProjectStore
from luab_collect.store.results import stored_work
from luab_data.errors import SourceError


def simulated(shop, tmp_path, *options):
    file = tmp_path / "figures" / "report.json"
    status = run("simulate", [str(shop), "--json", str(file), *map(str, options)])
    return status, json.loads(file.read_text())


def works(shop, **options):
    store = ProjectStore(Project.read(shop))
    with store.reading() as connection:
        found = list(stored_work(connection, **options))
    store.close()
    return found


def test_all_work_is_done_and_all_events_are_there(tmp_path, capsys):
    shop = make_trial(tmp_path, overlap=2)
    status, found = simulated(shop, tmp_path, "--annotators", 3)
    assert status == 0 and found["complete"] and found["failures"] == {}
    done = works(shop)
    assert len(done) == found["pages"] > 4
    assert found["sent"] == found["stored"] == sum(len(each) for one in done for each in one.events.values())
    assert found["codes"] > 0 and found["media_mb"] > 0
    assert 50 < found["sent_bytes"] < 400 and 0 < found["stored_bytes"] < found["sent_bytes"]
    assert 0 < found["ack_ms"]["p50"] <= found["ack_ms"]["p95"] <= found["ack_ms"]["max"]
    shown = capsys.readouterr().out
    assert "3 annotators (3 careful)" in shown and "Nothing was lost." in shown
    status, again = simulated(shop, tmp_path, "--annotators", 3)  # nothing is left
    assert (status, again["pages"], again["sent"]) == (0, 0, 0)


def test_places_icons_and_drops_out(tmp_path):
    shop = make_trial(tmp_path, "place")
    status, found = simulated(
        shop, tmp_path, "--annotators", 3, "--dropouts", 0.34, "--pages", 2, "--no-images"
    )
    assert status == 0
    assert found["annotators"] == {"careful": 2, "dropout": 1}
    assert (found["pages"], found["media_mb"]) == (4, 0)
    begun = [each for each in works(shop, all_states=True) if each.state == "leased" and each.events]
    assert len(begun) == 1 and begun[0].events[1][-1].kind != "submit"


def test_real_time_takes_its_time(tmp_path):
    shop = make_trial(tmp_path)
    _, found = simulated(shop, tmp_path, "--annotators", 1, "--pages", 1, "--speed", 4)
    [done] = works(shop)
    assert found["seconds"] >= done.events[1][-1].t / 1000 / 4


def test_other_boxes_than_golds(tmp_path):
    shop = make_trial(tmp_path)
    other = tmp_path / "other.csv"
    other.write_text("file,class,present\nclass0/00.png,cat,yes\n")
    assert simulated(shop, tmp_path, "--annotators", 1, "--pages", 1, "--boxes", other)[0] == 0
    other.write_text("file,class,x0,y0,x1,y1\nclass0/00.png,cat,0,0,400,10\n")
    with pytest.raises(SourceError, match=r"class0/00\.png"):
        run("simulate", [str(shop), "--boxes", str(other)])


def test_peoples_projects_are_left_alone(tmp_path):
    shop = make_trial(tmp_path)
    add_person(shop, "Ann")
    with pytest.raises(SourceError, match="1 annotator who is not known to be simulated"):
        run("simulate", [str(shop), "--annotators", "1"])
    assert works(shop, all_states=True) == []


def test_people_without_a_link_are_people_too(tmp_path):
    """They came from a platform, or their links were revoked or purged."""
    shop = make_trial(tmp_path, platforms={"url": {"annotator": "worker"}})
    add_person(shop, "Ann")
    store = ProjectStore(Project.read(shop))
    with store.writing() as connection:
        people.annotator_of(connection, store.secret, "url", "W1", 1.0)
        people.revoke_link(connection, "Ann")
    store.close()
    with pytest.raises(SourceError, match="2 annotators who are not known to be simulated"):
        run("simulate", [str(shop), "--annotators", "1"])


def test_simulated_annotators_whose_links_were_purged_may_be_people(tmp_path):
    shop = make_trial(tmp_path)
    assert run("simulate", [str(shop), "--annotators", "1", "--pages", "1", "--no-images"]) == 0
    assert run("purge", [str(shop), "--older-than", "0"]) == 0
    message = "1 annotator who is not known to be simulated .*which `luab collect purge` removes"
    with pytest.raises(SourceError, match=message):
        run("simulate", [str(shop), "--annotators", "1"])


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    return make_trial(tmp_path_factory.mktemp("idle"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--annotators", "0"], "--annotators is 0"),
        (["--speed", "0"], "--speed is 0"),
        (["--speed", "nan"], "--speed is nan"),
        (["--pages", "0"], "--pages is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--bots", "2"], "--bots is 2"),
        (["--url", "http://127.0.0.1:9"], "--url is http://127.0.0.1:9, where no server answers"),
        (["--url", "localhost:8000"], "--url is 'localhost:8000'; it must be like http://"),
        (["--url", "http://127.0.0.1:9/shop"], "--url is 'http://127.0.0.1:9/shop'; it must be like http://"),
    ],
)
def test_wrong_options_are_refused(idle, options, message):
    with pytest.raises(SourceError, match=message):
        run("simulate", [str(idle), *options])


def test_a_server_that_cannot_start_is_told(tmp_path):
    from luab_collect.simulate.server import running

    with pytest.raises(SourceError, match="did not start"), running(tmp_path):
        pass
