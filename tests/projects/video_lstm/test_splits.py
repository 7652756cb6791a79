"""The layouts people have; no source on both sides; what is refused in them."""

import pytest

from projects.video_lstm.videos.splits import read_splits, source
from shared.errors import UserError


def put(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(split):
    return [path.rsplit("/", 1)[1] for path in split.paths]


@pytest.fixture
def ucf(tmp_path):
    files = {group: f"v_Archery_g{group:02d}_c01.avi" for group in (1, 8, 9)}
    put(
        tmp_path,
        *(f"UCF-101/Archery/{name}" for name in files.values()),
        "UCF-101/Biking/v_Biking_g01_c01.avi",
    )
    put(tmp_path, "UCF-101/Biking/v_Biking_g08_c02.avi")
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n2 Biking\n")
    rows = [f"Archery/{files[8]} 1", f"Archery/{files[9]} 1", "Biking/v_Biking_g08_c02.avi 2"]
    (lists / "trainlist01.txt").write_text("\r\n".join(rows) + "\r\n")
    (lists / "testlist01.txt").write_text(f"Archery/{files[1]}\nBiking/v_Biking_g01_c01.avi\n")
    return tmp_path


@pytest.fixture
def hmdb(tmp_path):
    put(
        tmp_path,
        *(f"org/wave/Film{i}_wave_u_cm_np1_fr_med_{i}.avi" for i in range(3)),
        "org/run/A b_run_f_nm_np1_0.avi",
    )
    put(tmp_path, "org/run/C_run_f_nm_np1_1.avi")
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    uses = enumerate((1, 2, 0))
    (lists / "wave_test_split1.txt").write_text(
        "".join(f"Film{i}_wave_u_cm_np1_fr_med_{i}.avi {u} \n" for i, u in uses)
    )
    (lists / "run_test_split1.txt").write_text("A b_run_f_nm_np1_0.avi 1 \nC_run_f_nm_np1_1.avi 2 \n")
    return tmp_path


def test_ucf101(ucf):
    train, val = read_splits(ucf, 1)
    assert train.classes == val.classes == ["Archery", "Biking"]
    assert names(train) == ["v_Archery_g08_c01.avi", "v_Archery_g09_c01.avi", "v_Biking_g08_c02.avi"]
    assert (train.labels, val.labels) == ([0, 0, 1], [0, 1])


def test_hmdb51(hmdb):
    train, val = read_splits(hmdb, 1)
    assert train.classes == ["run", "wave"]
    assert names(train) == ["A b_run_f_nm_np1_0.avi", "Film0_wave_u_cm_np1_fr_med_0.avi"]
    assert names(val) == ["C_run_f_nm_np1_1.avi", "Film1_wave_u_cm_np1_fr_med_1.avi"]


def test_class_folders_are_split_by_source(tmp_path):
    put(
        tmp_path,
        *(
            f"{label}/v_X_g{group:02d}_c{clip:02d}.avi"
            for label in "ab"
            for group in range(10)
            for clip in range(5)
        ),
    )
    put(tmp_path, "a/notes.txt", "a/.hidden.avi")
    train, val = read_splits(tmp_path, 1)
    assert (len(train.paths), len(val.paths)) == (80, 20)
    assert not {(p.split("/")[-2], source(p)) for p in train.paths} & {
        (p.split("/")[-2], source(p)) for p in val.paths
    }
    assert read_splits(tmp_path, 1) == (train, val)


@pytest.mark.parametrize(
    "path, expected",
    [
        ("a/Archery/v_Archery_g07_c03.avi", "v_Archery_g07"),
        ("a/wave/20_good_points_wave_u_cm_np1_fr_med_2.avi", "20_good_points"),
        ("a/b/lecture-part2.mp4", "lecture"),
        ("a/b/000.mp4", "000"),
    ],
)
def test_the_source_of_a_clip(path, expected):
    assert source(path) == expected


def test_clips_of_one_source_on_both_sides_are_warned_of(ucf, caplog):
    lists = ucf / "ucfTrainTestlist"
    put(ucf, "UCF-101/Archery/v_Archery_g08_c02.avi")
    (lists / "testlist01.txt").write_text("Archery/v_Archery_g08_c02.avi\nBiking/v_Biking_g01_c01.avi\n")
    read_splits(ucf, 1)
    assert "1 validated clips share a source" in caplog.text and "v_Archery_g08_c02" in caplog.text


def nowhere(ucf):
    return ucf / "nowhere", "data.root"


def missing_video(ucf):
    (ucf / "UCF-101/Biking/v_Biking_g08_c02.avi").unlink()
    return ucf, "data.root"


def missing_list(ucf):
    (ucf / "ucfTrainTestlist/testlist01.txt").unlink()
    return ucf, str(ucf / "ucfTrainTestlist/testlist01.txt")


def not_a_list(ucf):
    (ucf / "ucfTrainTestlist/trainlist01.txt").write_text("what is this\n")
    return ucf, str(ucf / "ucfTrainTestlist/trainlist01.txt")


def outside(ucf):
    (ucf / "ucfTrainTestlist/trainlist01.txt").write_text("../../v_Archery_g08_c01.avi 1\n")
    return ucf, str(ucf / "ucfTrainTestlist/trainlist01.txt")


def one_source(ucf):
    put(ucf / "x", "a/v_X_g01_c01.avi", "a/v_X_g01_c02.avi")
    return ucf / "x", "data.root"


def empty_class(ucf):
    put(ucf / "x", "a/1.mp4", "a/2.mp4", "b/readme.txt")
    return ucf / "x", str(ucf / "x/b")


def other_classes(ucf):
    put(ucf / "x", "train/a/1.mp4", "val/b/1.mp4")
    return ucf / "x", "data.root"


def no_val(ucf):
    put(ucf / "x", "train/a/1.mp4")
    return ucf / "x", "data.root"


@pytest.mark.parametrize(
    "harm",
    [
        nowhere,
        missing_video,
        missing_list,
        not_a_list,
        outside,
        one_source,
        empty_class,
        other_classes,
        no_val,
    ],
)
def test_a_wrong_folder_is_refused_by_name(ucf, harm):
    root, where = harm(ucf)
    with pytest.raises(UserError) as caught:
        read_splits(root, 1)
    assert caught.value.where == where


def test_an_unknown_split_is_refused(hmdb):
    with pytest.raises(UserError, match=r"data\.split"):
        read_splits(hmdb, 4)
