"""What clients ask before they ask anything. Source: https://core.telegram.org/method/help.getConfig, …"""

from __future__ import annotations

from telethon.tl import functions, types

from gateway.sandbox.cloud import DC
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method

f = functions.help


@method(f.GetConfigRequest, is_open=True)
def get_config(request: Request, _query: TL) -> TL:
    settings = request.telegram.settings
    host, port = request.telegram.address
    return types.Config(
        date=request.cloud.date(),
        expires=request.cloud.date(request.cloud.now() + 3600),
        test_mode=False,
        this_dc=DC,
        dc_options=[types.DcOption(DC, host, port, ipv6=(":" in host) or None)],
        dc_txt_domain_name="",
        chat_size_max=200,
        megagroup_size_max=200_000,
        forwarded_count_max=100,
        online_update_period_ms=210_000,
        offline_blur_timeout_ms=5_000,
        offline_idle_timeout_ms=30_000,
        online_cloud_timeout_ms=300_000,
        notify_cloud_delay_ms=30_000,
        notify_default_delay_ms=1_500,
        push_chat_period_ms=60_000,
        push_chat_limit=2,
        edit_time_limit=172_800,
        revoke_time_limit=2_147_483_647,
        revoke_pm_time_limit=2_147_483_647,
        rating_e_decay=2_419_200,
        stickers_recent_limit=200,
        channels_read_media_period=604_800,
        call_receive_timeout_ms=settings.call_receive_timeout_ms,
        call_ring_timeout_ms=settings.call_ring_timeout_ms,
        call_connect_timeout_ms=settings.call_connect_timeout_ms,
        call_packet_timeout_ms=settings.call_packet_timeout_ms,
        me_url_prefix="https://t.me/",
        caption_length_max=1024,
        message_length_max=4096,
        webfile_dc_id=DC,
        revoke_pm_inbox=True,
    )


@method(f.GetNearestDcRequest, is_open=True)
def get_nearest_dc(_request: Request, _query: TL) -> TL:
    return types.NearestDc("", DC, DC)


@method(f.GetAppConfigRequest, is_open=True)
def get_app_config(_request: Request, _query: TL) -> TL:
    return types.help.AppConfig(1, types.JsonObject([]))


@method(f.GetCdnConfigRequest, is_open=True)
def get_cdn_config(_request: Request, _query: TL) -> TL:
    return types.CdnConfig([])


@method(f.GetTermsOfServiceUpdateRequest)
def get_terms_of_service_update(request: Request, _query: TL) -> TL:
    return types.help.TermsOfServiceUpdateEmpty(request.cloud.date(request.cloud.now() + 86400))


@method(f.GetPromoDataRequest)
def get_promo_data(request: Request, _query: TL) -> TL:
    return types.help.PromoDataEmpty(request.cloud.date(request.cloud.now() + 86400))


@method(functions.langpack.GetLangPackRequest, is_open=True)
def get_lang_pack(_request: Request, query: TL) -> TL:
    return types.LangPackDifference(query.lang_code, 0, 1, [])


@method(functions.langpack.GetDifferenceRequest, is_open=True)
def get_lang_pack_difference(_request: Request, query: TL) -> TL:
    return types.LangPackDifference(query.lang_code, query.from_version, 1, [])


@method(functions.langpack.GetLanguagesRequest, is_open=True)
def get_languages(_request: Request, _query: TL) -> list[TL]:
    return []


@method(functions.langpack.GetStringsRequest, is_open=True)
def get_strings(_request: Request, _query: TL) -> list[TL]:
    return []
