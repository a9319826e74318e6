"""`luab collect init` and `project.yaml`: what is accepted, what is refused, and with which words."""

import io
import stat

import pytest
from PIL import Image

from luab.cli import main
from luab_collect.class_files import read_classes
from luab_collect.project import KEY_BYTES, Project
from luab_collect.settings import dump_settings, parse_settings
from luab_collect.setup import init_project
from luab_data.errors import SourceError


@pytest.fixture
def images(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 6)).save(tmp_path / "photos" / name / "a.jpg")
    (tmp_path / "classes.txt").write_text("cat\tA small  animal\n\ndog\n")
    return tmp_path / "photos"


def made(tmp_path, images, **settings):
    given = str(tmp_path / "classes.txt")
    project, _ = init_project(tmp_path / "shop", "select", images, given, **settings)
    return project


def test_a_project_is_read_as_it_was_made(tmp_path, images):
    project = made(tmp_path, images, overlap=3, seed=7)
    assert project == Project.read(tmp_path / "shop")
    assert (project.name, project.task, project.language) == ("shop", "select", "en")
    assert (project.images_per_page, project.pages_per_hit, project.overlap, project.seed) == (48, 10, 3, 7)
    assert project.class_names == ("cat", "dog") and project.classes[0].definition == "A small animal"
    assert project.images == images and project.categories == ()
    assert project.database == f"sqlite:///{tmp_path / 'shop' / 'collect.sqlite'}"
    assert "Select every image" in project.instructions() and "mouse" in project.consent()


def test_the_key_is_random_and_its_owners_alone(tmp_path, images):
    project = made(tmp_path, images)
    other, _ = init_project(tmp_path / "other", "select", images, str(tmp_path / "classes.txt"))
    assert len(project.secret()) == KEY_BYTES and project.secret() != other.secret()
    assert stat.S_IMODE((project.folder / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(project.folder.stat().st_mode) == 0o700
    (project.folder / "secret.key").write_bytes(b"short")
    with pytest.raises(SourceError, match=r"5 bytes, not 32\. Restore it from a copy"):
        project.secret()


def test_coco_is_80_classes_in_11_categories(tmp_path, images):
    project, _ = init_project(tmp_path / "street", "place", images, "coco")
    assert len(project.classes) == 80 and len(project.categories) == 11
    assert project.categories[:2] == ("Person", "Animal")  # the order of COCO-AB's pages of icons
    assert {each.category for each in project.classes} == set(project.categories)
    assert (project.images_per_page, project.pages_per_hit) == (1, 20)
    assert not any(each.icon for each in project.classes)


def test_a_folder_with_files_is_left_alone(tmp_path, images):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine.txt").touch()
    with pytest.raises(SourceError, match="not an empty folder"):
        made(tmp_path, images)
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["mine.txt"]


def test_nothing_is_left_of_an_init_that_failed(tmp_path, images):
    (tmp_path / "classes.txt").write_text("Cat\ncat\n")
    with pytest.raises(SourceError, match="differ in case"):
        made(tmp_path, images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.txt", "photos"]


SETTINGS = """
name: shop
task: select
images: ../photos
classes: [{name: cat}, {name: dog}]
images_per_page: 48
pages_per_hit: 10
"""


def test_settings_survive_writing_and_reading():
    settings = parse_settings(SETTINGS, "project.yaml")
    assert parse_settings(dump_settings(settings), "again") == settings


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("overlapp: 2", r"no setting 'overlapp' \(did you mean overlap\?\)"),
        ("shares: {gould: 1}", r"no setting 'shares.gould' \(did you mean gold\?\)"),
        ("overlap: 0", "overlap is 0: Input should be greater than or equal to 1"),
        ("overlap: two", "overlap is 'two': Input should be a valid integer"),
        ("overlap: true", "overlap is True"),
        ("overlap: .nan", "NaN|JSON compliant"),
        ("lease_minutes: .inf", "JSON compliant"),
        ("classes: []", "classes is"),
        ("classes: [{name: no}]", "classes.0.name is False: Input should be a valid string, in quotes"),
        ('classes: [{name: "a\\u202eb"}]', "do not print"),
        ('classes: [{name: cat, links: ["javascript:alert(1)"]}]', "must begin with https"),
        ("task: draw", "'select' or 'place'"),
        ("language: en us", "language is"),
        ("seed: -1", "seed is -1"),
        ("name: <b>", None),
        ("name: [a]", "name is"),
        ("platforms: {prolific: {}}", "'platforms.prolific.completion_url' is missing"),
        ("a: &a [1]\nb: *a", "aliases are not read"),
        ("overlap: 1\noverlap: 2", "'overlap' is no text, or there already"),
        ("? [a]\n: 1", "no text, or there already"),
        ("x: !!python/object/apply:os.system [echo]", "not YAML that can be read"),
        ("x: " + "[" * 5000, "not YAML that can be read"),
        ("\x00", "not YAML that can be read"),
    ],
)
def test_what_project_yaml_may_not_hold(change, expected):
    name = change.partition(":")[0]
    kept = [line for line in SETTINGS.splitlines() if not line.startswith(f"{name}:")]
    text = "\n".join([*kept, change])
    if expected is None:
        assert parse_settings(text, "project.yaml").name == "<b>"  # text, which every page escapes
        return
    with pytest.raises(SourceError, match=expected) as raised:
        parse_settings(text, "project.yaml")
    assert "project.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"images": "nowhere"}, "images is '.*nowhere', and there is no such folder"),
        ({"shares": "{target: 0.5, distractor: 0.4, gold: 0.2}"}, "the sum 1"),
        ({"shares": "{target: 0, distractor: 0.5, gold: 0.5}"}, "target must be more than 0"),
        ({"gold": "gold.csv"}, "gold is .*no such file"),
        ({"classes": "[{name: cat, confusable: [dgo]}, {name: dog}]"}, r"did you mean dog\?"),
        ({"classes": "[{name: cat, confusable: [cat]}]"}, "confusable with 'cat', which is no other class"),
        ({"classes": "[{name: a_b}, {name: A B}]"}, "differ in case, spaces or _"),
        ({"classes": "[{name: cat, icon: ../../etc/passwd}]"}, "icon of 'cat'"),
        ({"task": "place"}, "`place` has 1"),
        (
            {
                "task": "place",
                "images_per_page": "1",
                "categories": "[Animals]",
                "classes": "[{name: cat, category: Animal}]",
            },
            r"category 'Animal', which categories does not list \(did you mean Animals\?\)",
        ),
    ],
)
def test_settings_that_do_not_fit_together(tmp_path, images, change, expected):
    project = made(tmp_path, images)
    lines = [line for line in SETTINGS.strip().splitlines() if line.partition(":")[0] not in change] + [
        f"{name}: {value}" for name, value in change.items()
    ]
    (project.folder / "project.yaml").write_text("\n".join(lines))
    with pytest.raises(SourceError, match=expected):
        Project.read(project.folder)


def test_a_folder_that_is_no_project_says_how_to_make_one(tmp_path):
    with pytest.raises(SourceError, match=r"luab collect init .* makes one"):
        Project.read(tmp_path)


@pytest.mark.parametrize("character", ["\u2028", "\x0c", "\x85"])
def test_only_line_ends_of_a_csv_end_its_lines(tmp_path, character):
    path = tmp_path / "classes.csv"
    path.write_bytes(f"name,definition\r\ncat,soft\r\ndog,loud{character}big\r\n".encode())
    with pytest.raises(SourceError, match=r"line 3: definition is .loud.*big.: it has spaces at an end, or"):
        read_classes(str(path))


def test_classes_of_a_csv(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text(
        "\ufeffname,definition,links,confusable\n"
        '"tabby, cat","A cat, striped",https://example.org/a|https://example.org/b,dog\n\ndog,,,\n'
    )
    cat, dog = read_classes(str(path))
    assert (cat.name, cat.definition, len(cat.links), cat.confusable) == (
        "tabby, cat", "A cat, striped", 2, ("dog",),
    )  # fmt: skip
    assert dog.name == "dog" and dog.links == ()


def test_wnids_get_imagenets_names(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("n01440764\nn02012849\nn03126707\nmine\n")
    tench, bird, machine, mine = read_classes(str(path))
    assert (tench.name, tench.folder, tench.definition) == ("tench", "n01440764", "tench, Tinca tinca")
    assert (bird.name, machine.name) == ("crane (n02012849)", "crane (n03126707)")
    assert (mine.name, mine.folder) == ("mine", None)


def with_icon(tmp_path, images, icon, content=b""):
    """A project whose class `cat` has an icon with this path from the CSV, and this content."""
    listing = tmp_path / "given" / "classes.csv"
    (listing.parent / "signs").mkdir(parents=True)
    listing.write_text(f"name,icon\ncat,{icon}\ndog,\n")
    if content:
        (listing.parent / icon).write_bytes(content)
    return init_project(tmp_path / "street", "place", images, str(listing))[0]


PICTURE = io.BytesIO()
Image.new("RGB", (8, 8)).save(PICTURE, "PNG")


@pytest.mark.parametrize(
    ("icon", "content", "kept"),
    [
        ("cat.png", PICTURE.getvalue(), "icons/0.png"),
        ("signs/a cat.PNG", PICTURE.getvalue(), "icons/0.png"),
        ("cat.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "icons/0.svg"),
    ],
    ids=["beside", "below", "svg"],
)
def test_icons_beside_a_csv_are_copied_into_the_project(tmp_path, images, icon, content, kept):
    project = with_icon(tmp_path, images, icon, content)
    assert [each.icon for each in project.classes] == [kept, None]
    assert (project.folder / kept).read_bytes() == content


@pytest.mark.parametrize(
    ("icon", "content", "expected"),
    [
        ("cat.png", b"", "there is no such file"),
        ("../photos/cat/a.jpg", b"", "it is in another folder"),
        ("/etc/passwd", b"", "it is in another folder"),
        ("signs", b"", "Is a directory"),
        ("cat.png", b"<svg>", "not an image"),
        ("cat.svg", b"root:x:0:0", "it is no SVG"),
        ("cat.txt", PICTURE.getvalue(), "no suffix of an image"),
        ("cat.png", PICTURE.getvalue() + bytes(1 << 20), "allowed are 1,048,576"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_icons_that_are_refused(tmp_path, images, icon, content, expected):
    with pytest.raises(SourceError, match=rf"the icon of 'cat' is .*({expected}).* below the CSV's folder"):
        with_icon(tmp_path, images, icon, content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.txt", "given", "photos"]


def test_init_refuses_what_no_page_could_use(tmp_path, images):
    (tmp_path / "candidates.csv").write_text("file,class\nnot_there.png,nonsense\n")
    with pytest.raises(SourceError, match=r"--candidates '.*' is of --task select"):
        init_project(tmp_path / "street", "place", images, "coco", candidates=tmp_path / "candidates.csv")
    with pytest.raises(SourceError, match="language: 'de' has no texts; allowed: en"):
        made(tmp_path, images, language="de")
    (tmp_path / "classes.csv").write_text("name,confusable\ncat,dgo\ndog,\n")
    with pytest.raises(SourceError, match=r"^settings: class 'cat' is confusable"):  # no folder that is gone
        init_project(tmp_path / "street", "select", images, str(tmp_path / "classes.csv"))
    assert not (tmp_path / "street").exists() and not (tmp_path / "shop").exists()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("classes.txt", "\n \n", "names no class"),
        ("classes.txt", b"caf\xe9\n", "not UTF-8"),
        ("classes.txt", "x" * 121, "line 1: name is"),
        ("classes.csv", "title\ncat\n", "no column 'name'"),
        ("classes.csv", "name;definition\ncat;x\n", "separated by ';'"),
        ("classes.csv", "name,definiton\ncat,x\n", r"'definiton' is unknown .*did you mean definition\?"),
        ("classes.csv", "name,definition\ncat\n", "line 2: it has 1 values, and the header 2"),
        ("classes.csv", "definition,name\nx,\n", "'name' is missing"),
        ("classes.csv", 'name\n"cat\n', "line"),
    ],
)
def test_unusable_lists_of_classes(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=expected):
        read_classes(str(tmp_path / name))


def test_the_command_makes_a_project(tmp_path, images, capsys):
    given = ["--task", "select", "--images", str(images), "--classes", str(tmp_path / "classes.txt")]
    assert main(["collect", "init", str(tmp_path / "shop"), *given]) == 0
    shown = capsys.readouterr().out
    assert "2 classes, task select" in shown and "2 images found = 2 used + 0 left out" in shown
    assert "2 pages of work, each for 1 annotator" in shown
    assert main(["collect", "init", str(tmp_path / "shop"), *given]) == 1
    assert capsys.readouterr().err.startswith("luab collect: ")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (1, "1 for practice + 0 to check the work: give more of them"),
        (5, "3 for practice + 2 to check the work"),
    ],
)
def test_init_says_how_many_known_answers_check_the_work(tmp_path, images, number, told):
    (tmp_path / "classes.txt").write_text("cat\n")
    for at in range(number):
        Image.new("RGB", (8, 6 + at)).save(images / "cat" / f"{at}.png")
    (tmp_path / "gold.csv").write_text(
        "file,class\n" + "".join(f"cat/{at}.png,cat\n" for at in range(number))
    )
    classes = str(tmp_path / "classes.txt")
    _, lines = init_project(tmp_path / "shop", "place", images, classes, gold=tmp_path / "gold.csv")
    assert lines[-1] == f"images with a known answer: {told}"


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        # Of the gold images on the page all but two are of the practice, too.
        ({}, "12 for practice + 2 to check the work + 10 on no page"),
        (
            {"shares": {"target": 0.9, "distractor": 0.1, "gold": 0.0}},
            "12 for practice + 0 to check the work + 12 on no page: raise shares.gold",
        ),
    ],
)
def test_init_counts_known_answers_on_pages(tmp_path, shares, told):
    for folder, number in (("cat", 40), ("check", 24)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for at in range(number):
            Image.new("RGB", (8, 6), (at, at, len(folder))).save(tmp_path / "photos" / folder / f"{at}.png")
    (tmp_path / "classes.txt").write_text("cat\n")
    lines = [f"check/{at}.png,cat,{'yes' if at % 2 else 'no'}\n" for at in range(24)]
    (tmp_path / "gold.csv").write_text("file,class,present\n" + "".join(lines))
    given = [tmp_path / "photos", str(tmp_path / "classes.txt"), None, tmp_path / "gold.csv"]
    _, lines = init_project(tmp_path / "shop", "select", *given, **shares)
    assert lines[-1] == f"images with a known answer: {told}"


def test_an_unknown_command_gets_a_suggestion(capsys):
    assert main(["collect", "int"]) == 2
    assert "there is no command 'int' (did you mean init?)" in capsys.readouterr().err


def test_the_command_without_its_extra_ends_before_it_begins(tmp_path, images, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy", None)
    given = ["--task", "select", "--images", str(images), "--classes", "coco"]
    assert main(["collect", "init", str(tmp_path / "shop"), *given]) == 1
    assert capsys.readouterr().err.endswith("needs sqlalchemy: pip install 'luab[collect]'\n")
    assert not (tmp_path / "shop").exists()


def test_a_class_that_is_listed_twice_is_named_with_its_file(tmp_path):
    (tmp_path / "classes.txt").write_text("traffic light\ncat\nTraffic_light\n")
    with pytest.raises(
        SourceError, match=r"^--classes '.*classes\.txt' has names that are the same.*: traffic"
    ):
        read_classes(str(tmp_path / "classes.txt"))
