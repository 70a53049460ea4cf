"""Disambiguation pages: lists of links that share a name, no prose; told by their template or title."""

import re

from polyticket.corpus.wikitext import without_unread


def _names(text: str) -> frozenset[str]:
    """The names between the bars and line ends of a text, case folded."""
    return frozenset(name.strip().casefold() for name in re.split(r"[|\n]", text) if name.strip())


TEMPLATES = _names(
    """
    Disambiguation|Disambig|Dab|Disamb|Disambiguation page|Disambiguation cleanup|Disambig cleanup|Disambig-cleanup
    Geodis|Hndis|Hndis-cleanup|Human name disambiguation|Place name disambiguation|Mil-unit-dis|Numberdis
    School disambiguation|Hospital disambiguation|Airport disambiguation|Letter-number combination disambiguation
    Begriffsklärung|Begriffsklaerung|BKL|Homonymie|Paronymie|Patronyme|Toponymie|Arrondissements homonymes
    Desambiguación|Desambiguacion|Desambig|Desambiguação|Desambiguacao|Disambigua|Doorverwijspagina|Dpintro
    Неоднозначность|Список однофамильцев|Многозначность|Неоднозначность-Т|Багатозначність|Неоднозначнасць
    Неадназначнасць|Многозначна|Вишезначна одредница|Višeznačna odrednica|Višeznačnost|Razdvojba
    Ujednoznacznienie|Rozcestník|Rozlišovacia stránka|Egyért|Egyértelműsítő lap|Dezambiguizare|Razločitev|Täpsustus
    Täsmennyssivu|Förgrening|Pekerside|Flertydig|Aðgreining|Täpsustuslehekülg|Nuorodinis puslapis|Nozīmju atdalīšana
    Anlam ayrımı|Anlam ayrım|Dəqiqləşdirmə|Айрық|Айрыќ|Күп мәгънәләр|Αποσαφήνιση|Kthjellim|Kuptimeve|Argipen|Homónimos
    توضيح|صفحة توضيح|ابهام‌زدایی|ابهام زدایی|ضد ابہام|ضدابہام|פירושונים|Trang định hướng
    Định hướng|Trang định hướng nhân danh|Trang định hướng địa danh|Disambiguasi|Nyahkekaburan|Maana
    Paglilinaw|Pagklaro|Dubbelsinnig|Dubbelsinnig-plek|消歧义|消歧義|消歧义页|消歧義頁|地名消歧义|地名消歧義
    人名消歧义|人名消歧義|曖昧さ回避|人名の曖昧さ回避|地名の曖昧さ回避|동음이의|동명이인|बहुविकल्पी
    बहुविकल्पी शब्द|दुवाच्यता|নির্ঘণ্ট|দ্ব্যর্থতা নিরসন|பக்கவழி நெறிப்படுத்தல்|అయోమయ నివృత్తి|വിവക്ഷകൾ|ದ್ವಂದ್ವ ನಿವಾರಣೆ
    แก้กำกวม|แก้ความกำกวม|მრავალმნიშვნელოვანი|Բազմիմաստություն|Gwahaniaethu|Idirdhealú|Disheñvelout|Apartigilo
    """
)
"""Names of the templates that mark such a page, in many languages, case folded.

Hatnotes (``dablink``, ``Voir homonymes``, ``Begriffsklärungshinweis``) stand on articles and are not among them.
"""

TITLE_WORDS = _names(
    """
    disambiguation|Begriffsklärung|homonymie|desambiguación|desambiguação|disambigua|desambiguació|homónimos|homonymia
    doorverwijspagina|значения|значення|значэнні|пояснение|вишезначна одредница|višeznačna odrednica|razvrstavanje
    ujednoznacznienie|rozcestník|egyértelműsítő lap|dezambiguizare|razločitev|täpsustus|täsmennyssivu|olika betydelser
    flertydig|pekerside|aðgreining|nuorodinis puslapis|nozīmju atdalīšana|anlam ayrımı|dəqiqləşdirmə|αποσαφήνιση
    kthjellim|argipena|توضيح|ابهام‌زدایی|ضد ابہام|פירושונים|định hướng|disambiguasi|nyahkekaburan|maana|paglilinaw
    dubbelsinnig|消歧义|消歧義|曖昧さ回避|동음이의|동명이인|बहुविकल्पी|দ্ব্যর্থতা নিরসন|แก้ความกำกวม|apartigilo
    """
)
"""What the last parentheses of such a page's title hold, case folded."""

_TEMPLATE = re.compile(r"\{\{\s*+(?:[Tt]emplate\s*+:\s*+)?+([^{}|<>\[\]\n/]++)[|}\n<]")
_LAST_PARENTHESES = re.compile(r"[(（]([^()（）]+)[)）]\s*$")


def is_disambiguation(title: str, text: str) -> bool:
    """Whether a page of the article namespace only tells apart the meanings of a name.

    Args:
        title: The page's title.
        text: Its wikitext.
    """
    last = _LAST_PARENTHESES.search(title)
    if last and last[1].strip().casefold() in TITLE_WORDS:
        return True
    # What comments and <nowiki> hold marks nothing; most pages are told without a look at them.
    return _is_marked(text) and _is_marked(without_unread(text))


def _is_marked(text: str) -> bool:
    return "__DISAMBIG__" in text or any(_normal(name[1]) in TEMPLATES for name in _TEMPLATE.finditer(text))


def _normal(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()
