"""Ways of being told, as the staff list gives them: each is checked, and what opens a door is never repeated."""

import pytest

from services.notifier.imports import read_staff
from services.notifier.sheets import FileRefused
from shared.alerts import ChannelName
from tests.fakes.notifier import DIVISIONS, SECRET, VILLAGE

KEY = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"
WECOM = f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={KEY}"
DINGTALK = f"https://oapi.dingtalk.com/robot/send?access_token={KEY}"
FEISHU = f"https://open.feishu.cn/open-apis/bot/v2/hook/{KEY}"


def people_of(tmp_path, **cells):
    file = tmp_path / "staff.csv"
    names, values = (
        ["staff_id", "name", "role", "division", *cells],
        ["c-1", "虚青山", "cadre", VILLAGE, *cells.values()],
    )
    file.write_text(f"{','.join(names)}\n{','.join(values)}\n", encoding="utf-8")
    return read_staff(file, DIVISIONS, allow_plain=False)


def contacts_of(tmp_path, **cells):
    (person,) = people_of(tmp_path, **cells)
    return [(one.channel, one.address, one.secret) for one in person.contacts]


def test_every_way_of_being_told_is_read_in_the_usual_order(tmp_path):
    found = contacts_of(
        tmp_path,
        phone="+86 138-0000-0000",
        feishu_robot_url=FEISHU,
        feishu_secret="f" * 22,
        dingtalk_robot_url=DINGTALK,
        dingtalk_secret="SEC" + "d" * 30,
        wecom_robot_url=WECOM,
        wecom_user="zhang.san",
        webhook_url="https://hooks.example/x",
        webhook_secret=SECRET,
        email="c-1@staff.example",
    )
    assert found == [
        (ChannelName.SMTP, "c-1@staff.example", None),
        (ChannelName.WEBHOOK, "https://hooks.example/x", SECRET),
        (ChannelName.WECOM_APP, "zhang.san", None),
        (ChannelName.WECOM_ROBOT, KEY, None),
        (ChannelName.DINGTALK, KEY, "SEC" + "d" * 30),
        (ChannelName.FEISHU, KEY, "f" * 22),
        (ChannelName.ALIYUN_SMS, "13800000000", None),
    ]


def test_a_person_may_put_their_own_channel_first(tmp_path):
    found = contacts_of(
        tmp_path,
        email="a@b.example",
        wecom_user="zhang",
        wecom_robot_url=WECOM,
        phone="13800000000",
        channel_order="aliyun_sms wecom_robot",
    )
    assert [channel for channel, _, _ in found] == ["smtp", "aliyun_sms", "wecom_robot", "wecom_app"]


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"phone": "12800000000"}, "phone"),
        ({"phone": "010-88888888"}, "phone"),
        ({"wecom_user": "张三"}, "wecom_user"),
        ({"wecom_robot_url": DINGTALK}, "wecom_robot_url"),
        ({"wecom_robot_url": KEY}, "wecom_robot_url"),
        ({"wecom_robot_url": WECOM + "&key=" + KEY}, "wecom_robot_url"),
        ({"dingtalk_robot_url": WECOM, "dingtalk_secret": "s" * 20}, "dingtalk_robot_url"),
        ({"dingtalk_robot_url": DINGTALK}, "dingtalk_secret"),
        ({"dingtalk_robot_url": DINGTALK, "dingtalk_secret": "short"}, "dingtalk_secret"),
        ({"phone": "13800000000", "dingtalk_secret": "s" * 20}, "dingtalk_robot_url"),
        ({"feishu_robot_url": "https://[::1/hook", "feishu_secret": "s" * 20}, "feishu_robot_url"),
        ({"feishu_robot_url": FEISHU}, "feishu_secret"),
        ({"phone": "13800000000", "channel_order": "feishu"}, "channel_order"),
        ({"phone": "13800000000", "channel_order": "aliyun_sms aliyun_sms"}, "channel_order"),
        ({"phone": "13800000000", "channel_order": "smtp"}, "channel_order"),
        ({"phone": ""}, "email"),
    ],
)
def test_a_way_that_cannot_work_is_told_with_its_field_and_without_its_value(tmp_path, cells, field):
    with pytest.raises(FileRefused) as refused:
        people_of(tmp_path, **cells)
    faults = [str(fault) for fault in refused.value.faults]
    assert any(fault.startswith(f"line 2: {field}: ") for fault in faults), faults
    assert KEY not in str(faults)
    assert "short" not in str(faults)


def test_no_address_and_no_secret_is_ever_printed(tmp_path):
    (person,) = people_of(tmp_path, dingtalk_robot_url=DINGTALK, dingtalk_secret="SEC" + "d" * 30)
    assert KEY not in repr(person) + repr(person.contacts)
    assert "SEC" not in repr(person) + repr(person.contacts)
