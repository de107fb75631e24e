"""The error catalogue: one row per problem type. `GET /problems/<slug>` shows the row to whoever meets the error."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem type.

    status: HTTP status. title_en, title_zh: short name. meaning: when it is given. mend: what the caller should do.
    """

    slug: str
    status: int
    title_en: str
    title_zh: str
    meaning: str
    mend: str


def _by_slug(*problems: Problem) -> Mapping[str, Problem]:
    return {problem.slug: problem for problem in problems}


PROBLEMS: Mapping[str, Problem] = _by_slug(
    Problem(
        "malformed-request",
        400,
        "The request is not clean HTTP",
        "请求不符合 HTTP 规范",
        "Head or body break the rules of HTTP/1.1: lengths that contradict each other, a missing Host, a cut body.",
        "Send the request with a common HTTP library; the connection is closed, nothing of the request was taken.",
    ),
    Problem(
        "malformed-json",
        400,
        "The body is not one clean JSON document",
        "请求体不是规范的 JSON",
        "The bytes are not UTF-8, not JSON, give a key twice, hold NaN, or nest too deep.",
        "Read errors[].detail; send UTF-8 JSON without a byte order mark, each key once.",
    ),
    Problem(
        "invalid-event",
        422,
        "The event does not have the shape of its type",
        "事件内容不符合该类型的要求",
        "The document is JSON, but a field is missing, unknown, of the wrong type, or out of range.",
        "Correct the fields that errors[].pointer names; GET /v1/event-types/{type} shows the schema. "
        "Sending the same event again unchanged cannot work.",
    ),
    Problem(
        "unknown-event-type",
        422,
        "This event type is not known",
        "未知的事件类型",
        "`type` is not one of the types that GET /v1/event-types lists.",
        "Use a listed type: cn.shouwang.<type>.v1.",
    ),
    Problem(
        "time-ahead",
        422,
        "The event lies in the future",
        "事件时间晚于当前时间一天以上",
        "`time` is more than one day ahead of the server's clock, which the detail names.",
        "Set the device's clock right and send the event again with the same id.",
    ),
    Problem(
        "unsupported-media-type",
        415,
        "This content type is not read here",
        "不支持的内容类型",
        "The Content-Type names another format, charset or encoding than this address reads.",
        "One event: application/cloudevents+json, or application/json with ce-* headers. "
        "Batch: application/cloudevents-batch+json or application/x-ndjson. UTF-8, no Content-Encoding.",
    ),
    Problem(
        "too-large",
        413,
        "The request is too large",
        "请求过大",
        "The body passes 1 MiB (64 KiB for one event) or the batch holds more than 500 events.",
        "Send fewer events per request.",
    ),
    Problem(
        "target-too-long",
        414,
        "The address is too long",
        "请求地址过长",
        "Path and query together pass 8 KiB.",
        "Shorten the address.",
    ),
    Problem(
        "head-too-large",
        431,
        "The head of the request is too large",
        "请求头过大",
        "The head passes 32 KiB or 100 lines.",
        "Send fewer and shorter headers.",
    ),
    Problem(
        "too-slow",
        408,
        "The request took too long to arrive",
        "请求发送过慢",
        "Its head or its body was not complete in the time that a request may take.",
        "Send the request again with the same ids; on a slow line send fewer events per request.",
    ),
    Problem(
        "unauthorised",
        401,
        "No valid key",
        "缺少有效的访问密钥",
        "The Authorization header is absent, not a bearer key, or the key is unknown, expired or revoked.",
        "Send `Authorization: Bearer <key>` with a key that is in force.",
    ),
    Problem(
        "forbidden",
        403,
        "The key does not allow this",
        "该密钥无此权限",
        "The key is valid, but its division, event types or source classes do not cover the request.",
        "Use a key with the scope that the detail names, or ask the operator to widen this one.",
    ),
    Problem(
        "not-found",
        404,
        "Nothing here",
        "未找到",
        "There is no such thing, or not for this key.",
        "Check the address and the identifier; absent and not permitted are answered alike.",
    ),
    Problem(
        "method-not-allowed",
        405,
        "This method is not served here",
        "不支持该请求方法",
        "The address exists, but not with this method.",
        "Use the method that the Allow header names.",
    ),
    Problem(
        "unknown-method",
        501,
        "This method is served nowhere here",
        "不支持的请求方法",
        "The method is not one that this server knows.",
        "Use GET or POST.",
    ),
    Problem(
        "conflict",
        409,
        "The step does not fit the present state",
        "当前状态下不能执行该操作",
        "Somebody else was faster, or the state machine has no such step from here.",
        "Read the present state and decide again.",
    ),
    Problem(
        "invalid-request",
        422,
        "A parameter is not usable",
        "请求参数有误",
        "A path, query or form parameter is missing or out of range.",
        "Correct the parameters that errors[].pointer names.",
    ),
    Problem(
        "too-many-requests",
        429,
        "Too many requests",
        "请求过于频繁",
        "More requests than are served at once are under way for this caller.",
        "Wait as long as Retry-After says; send the same ids again.",
    ),
    Problem(
        "too-many-connections",
        503,
        "All connections are in use",
        "连接数已满",
        "More requests are under way than the server has connections for.",
        "Try again after Retry-After seconds, with the same ids.",
    ),
    Problem(
        "log-unavailable",
        503,
        "The log cannot take events now",
        "暂时无法接收事件",
        "Kafka did not acknowledge in time. The event may have been written all the same.",
        "Keep the event and send it again, with the same id, after Retry-After seconds; a repeat has no second effect.",
    ),
    Problem(
        "temporarily-unavailable",
        503,
        "Not able to answer now",
        "服务暂不可用",
        "A part that this answer needs (such as the database) is away.",
        "Try again after Retry-After seconds.",
    ),
    Problem(
        "internal",
        500,
        "A fault on our side",
        "服务内部错误",
        "Something happened that should not. It has been logged with the trace id of this answer.",
        "Try again later with the same ids; tell the operator the trace id if it stays.",
    ),
)
