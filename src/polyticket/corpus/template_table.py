"""The table of common inline templates, which are replaced by their text before extraction.

Dumps often lack templates (dumps of articles hold none), or define them in Lua, which wikiextractor cannot run. Their
text would vanish from the middle of a sentence. The table holds the templates that are most frequent in the prose of
Wikipedias (counted on pages of en, fr, de, vi, zh, ar, ur and sw) and that have a simple meaning. It keeps numbers,
units, dates and words, as ``{{convert|90|km}}``, ``{{unité|3797|m}}``, ``{{val|6.2|e=18}}``; it drops notes, citations,
flags and notices. Numbers that a template computes (a conversion, inflation) are dropped; the given number stays.

The table has precedence over a dump's own definitions, so these templates show the same text with and without them. A
call that the table cannot write out is left to the dump.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from polyticket.core.languages import LANGUAGES
from polyticket.corpus.wikitext import hide, word_set

POINT_GROUPS = word_set("de vi es it pt nl id tr da el hr sr sh sl ro ca gl eu is mk bs")
"""Languages that write 1.234,5."""
SPACE_GROUPS = word_set("fr ru uk be bg pl cs sk sv fi nb no nn hu et lv lt kk hy ky tt ba")
"""Languages that write 1 234,5."""

LONGEST_NUMBER = 40
"""Most characters of a number; Python refuses to read thousands of digits."""

_PLAIN = re.compile(r"[−-]?\d+(?:\.\d+)?")
_NUMBER = re.compile(r"[−+-]?[\d.,\u00a0 ]*\d(?:[./][\d]+)?(?:[eE][+-]?\d+)?")
_LINKS = {"-": "–", "–": "–", "to": " to ", "and": " and ", "or": " or ", "x": " × ", "×": " × ", "by": " by "}
_LINKS |= {"+/-": " ± ", "±": " ± ", "+": " + ", "to(-)": " to ", "and(-)": " and ", "xx": " × ", "*": " × "}
_UNITS = {"km2": "km²", "m2": "m²", "cm2": "cm²", "m3": "m³", "cm3": "cm³", "km3": "km³", "sqmi": "sq mi", "C": "°C"}
_UNITS |= {"F": "°F", "sqft": "sq ft", "sqkm": "km²", "sqm": "m²", "cuft": "cu ft", "cumi": "cu mi", "kph": "km/h"}
_UNITS |= {"kmh": "km/h", "USgal": "US gal", "impgal": "imp gal", "ft3": "cu ft", "mi2": "sq mi", "acre": "acres"}
_UNITS |= {"Celsius": "°C", "Fahrenheit": "°F", "C-change": "°C", "F-change": "°F", "m/s2": "m/s²", "oilbbl": "bbl"}
_UNITS |= {"foot": "feet", "mile": "miles", "inch": "inches", "metre": "metres", "kilometre": "kilometres"}
_THOUSANDS = re.compile(r"e([369]|12)([a-zA-Z]\S*)")
"""A unit with a power of ten: ``e6km``."""
_SUPERSCRIPT = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")


def _months(text: str) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(text.split(), 1)}


MONTHS = {
    "en": _months("January February March April May June July August September October November December"),
    "fr": _months("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
    "vi": {str(number): f"tháng {number}" for number in range(1, 13)},
}
"""Names of months by number."""


def power(exponent: str) -> str:
    """An exponent in superscript: ``−12`` gives ``⁻¹²``."""
    return exponent.translate(_SUPERSCRIPT)


def is_link(text: str) -> bool:
    """Whether ``{{convert}}`` reads this as a word between two numbers."""
    return text in _LINKS


def grouped(number: str, lang: str) -> str:
    """A plain number with the language's decimal mark, and with thousands separators from five digits on.

    Other texts (``1,234``, ``about 3``, more than `LONGEST_NUMBER` characters) are returned unchanged.
    """
    if len(number) > LONGEST_NUMBER or not _PLAIN.fullmatch(number):
        return number
    code = lang.partition("-")[0]
    mark, group = (",", ".") if code in POINT_GROUPS else (",", "\u00a0") if code in SPACE_GROUPS else (".", ",")
    whole, _, rest = number.partition(".")
    sign = whole[:1] if whole[:1] in "−-" else ""
    digits = whole[len(sign) :]
    if len(digits) > 4:
        digits = f"{int(digits):,}".replace(",", group)
    return sign + digits + (mark + rest if rest else "")


def convert(args: Sequence[str], lang: str) -> str:
    """The number of ``{{convert}}`` with its unit: ``|10|to|20|km2|…`` gives ``10 to 20 km²``."""
    text = ""
    place = 0
    while place < len(args):
        if len(args[place]) > LONGEST_NUMBER or not _NUMBER.fullmatch(args[place]):
            return text or " ".join(args[:2])
        text += grouped(args[place], lang)
        follows = args[place + 1] if place + 1 < len(args) else ""
        if follows in _LINKS:
            text += _LINKS[follows]
            place += 2
            continue
        if thousands := _THOUSANDS.fullmatch(follows):
            text += f"×10{power(thousands[1])}"
            follows = thousands[2]
        text += f" {_UNITS.get(follows, follows)}" if follows else ""
        feet = args[place + 2 : place + 4]
        if follows in ("ft", "lb", "st") and len(feet) == 2 and feet[0].isdecimal() and feet[1] in ("in", "oz", "lb"):
            text += f" {feet[0]} {feet[1]}"
        return text
    return text


def unite(args: Sequence[str], lang: str) -> str:
    """French ``{{unité|number|unit|exponent|unit|exponent}}``: ``|5|km||s|-1`` gives ``5 km s⁻¹``."""
    first, *units = [*args] or [""]
    number, _, inside = first.partition(" ")
    text = [f"{grouped(number.replace(',', '.'), lang)} {inside}".strip()]
    for place in range(0, len(units), 2):
        raised = units[place + 1] if place + 1 < len(units) else ""
        text.append(units[place] + power(raised))
    return " ".join(part for part in text if part)


def value(args: Sequence[str], named: Mapping[str, str]) -> str:
    """``{{val|number|uncertainty|e=|u=}}``: ``|6.241|e=18|u=m`` gives ``6.241×10¹⁸ m``."""
    text = "±".join(args[:2]) + (f"×10{power(named['e'])}" if named.get("e") else "")
    unit = named.get("u") or named.get("ul") or named.get("up")
    return f"{named.get('p', '')}{text}{named.get('s', '')}" + (f" {unit}" if unit else "")


def fraction(args: Sequence[str]) -> str:
    """``{{frac}}``: one argument gives 1/n, two n/m, three a whole number and a fraction; others nothing."""
    whole, top, bottom = {1: ("", "1", *args), 2: ("", *args), 3: tuple(args)}.get(len(args), ("", "", ""))
    return f"{whole} {top}/{bottom}".strip() if top and bottom else ""


def height(args: Sequence[str], named: Mapping[str, str], lang: str) -> str:
    """``{{height|ft=6|in=1}}`` gives ``6 ft 1 in``, ``{{height|m=1.85}}`` gives ``1.85 m``."""
    units = ("m", "cm") if named.get("m") or named.get("cm") else ("ft", "in")
    text = " ".join(f"{grouped(named[unit], lang)} {unit}" for unit in units if named.get(unit))
    return text or " ".join(args[:2])


@dataclass(frozen=True)
class Call:
    """A call of a template in a page.

    Attributes:
        title: Its name.
        name: Its name, case folded.
        args: Its positional arguments.
        named: Its named arguments.
        lang: The code of the page's Wikipedia.
    """

    title: str
    name: str
    args: list[str]
    named: Mapping[str, str]
    lang: str

    def arg(self, number: int, *names: str) -> str:
        """The first given named argument, or else the positional one, from 1; empty if there is none."""
        for name in names:
            if self.named.get(name):
                return self.named[name]
        return self.args[number - 1] if len(self.args) >= number else ""


Render = Callable[[Call], str]


def _table(*entries: tuple[str, Render]) -> dict[str, Render]:
    return {name.strip(): render for names, render in entries for name in re.split(r"[|\n]", names) if name.strip()}


def _nihongo(call: Call) -> str:
    inside = ", ".join(part for part in (call.arg(2), call.arg(3)) if part)
    return " ".join(part for part in (call.arg(1), f"({inside})" if inside else "", call.arg(4)) if part)


def _ipa_english(call: Call) -> str:
    skipped = {"us", "uk", "also", "lang", "local", "pron", "audio", "respell", "ipa"}
    sounds = (arg for arg in call.args if arg.lower() not in skipped and not _SOUND_FILE.search(arg))
    return f"/{''.join(sounds).replace('_', ' ')}/"


def _as_of(call: Call) -> str:
    if call.named.get("alt"):
        return call.named["alt"]
    month = MONTHS.get(call.lang, MONTHS["en"])
    parts = [month.get(part.lstrip("0"), part) if number == 1 else part for number, part in enumerate(call.args[:3])]
    word = {"vi": "tính đến"}.get(call.lang, "since" if "since" in call.named else "as of")
    return f"{word if 'lc' in call.named else word[:1].upper() + word[1:]} {' '.join(reversed(parts))}".strip()


def _french_date(call: Call) -> str:
    words = " ".join(call.args[:3]).split()
    if len(words) > 1:
        words[1] = MONTHS["fr"].get(words[1].lstrip("0"), words[1])
    return " ".join(words[:3])


def _ordinal(call: Call) -> str:
    return " ".join((call.title, *call.args[:1]))


def _literal(text: str) -> str:
    """The text with angle brackets that make no tags."""
    return text.replace("<", hide("<")).replace(">", hide(">"))


def _unless_empty(before: str, number: int = 1, after: str = "") -> Render:
    return lambda call: before + call.arg(number) + after if call.arg(number) else ""


def _saying(text: str) -> Render:
    return lambda _: text


_CHINESE = frozenset({"c", "t", "s", "p", "cy", "w", "tp", "j", "hp", "l"})
_SOUND_FILE = re.compile(r"\.(?:ogg|oga|wav|mp3|flac)$", re.IGNORECASE)
_ARABIC_LANGUAGES = "ألمانية|إنجليزية|فرنسية|لاتينية|إسبانية|إيطالية|روسية|تركية|فارسية|يونانية|هولندية|برتغالية|عبرية"

NOTHING = _saying("")
FIRST: Render = lambda call: call.arg(1, "text", "1", "texte", "content", "code")  # noqa: E731
SECOND: Render = lambda call: call.arg(2, "text", "2", "texte")  # noqa: E731
LAST: Render = lambda call: call.args[-1] if call.args else ""  # noqa: E731
JOINED: Render = lambda call: "".join(call.args)  # noqa: E731

ANYWHERE = _table(
    (
        """
        sfn|sfnp|sfnm|sfnref|harv|harvnb|harvp|harvtxt|harvid|harvsp|rp|r|ref|refn|efn|efn-ua|efn-lr|note
        notetag|ref label|note label|cref|cref2|#tag:ref|#وسم:ref|citation needed|cn|fact|who|which|when
        where|why|how|by whom|clarify|clarification needed|vague|dubious|disputed inline|page needed
        full citation needed|better source needed|better source|unreliable source?|verify source
        failed verification|not in citation given|update inline|update after|relevance inline
        original research inline|or|pov statement|specify|according to whom|weasel inline|dead link
        disambiguation needed|cbignore|webarchive|wayback|isbn|issn|oclc|doi|pmid|pmc|arxiv|bibcode|jstor
        asin|lccn|bnf|dnb|cite|refbegin|refend|reflist|anchor|anchors|anker|absatz|clear|clr|-|coord
        coordinate|flagicon|flag icon|flagdeco|flagu icon|ribbon devices|audio|pronunciation|prononciation
        in lang|en icon|fr icon|de icon|zh icon|icon|référence nécessaire|référence souhaitée|refnec|refsou
        référence insuffisante|quand|qui|où|précision nécessaire|passage non neutre|lien brisé|lien archive
        cần chú thích|cần số trang|số trang|cần cập nhật trong dòng|liên kết hỏng|biểu tượng lá cờ|âm thanh
        1000 bài cơ bản|حوالہ درکار|پرچم تصویر|بحاجة لمصدر|مصدر|علم|来源请求|來源請求|需要解释|belege fehlen
        citation needed span end|,|0
        """,
        NOTHING,
    ),
    (
        """
        nowrap|nobr|nobr*|nobold|nowrap begin|small|smaller|smallsup|sc|smallcaps|smallcaps2
        petites capitales|abbr|abrv|abréviation|tooltip|big|larger|large|em|strong|bold|italic
        var|mvar|math|sub|sup|vr|vanchor|visible anchor|chem2|flag|flagcountry|flagu|keypress|url
        not a typo|as written|typo|maiuscoletto|mbox|avoid wrap|longitem|nnbsp|polytonic|ipa|ipa-all|api|msapi|phon
        citation bloc|quote|blockquote|cquote|pull quote|quotation|bquote|trích dẫn|railgauge
        citation needed span|latin|lienweb|lien-|grec ancien|rtl-lang|nastaliq|unicode|color box|linkedtext
        zh-tw|lang-zh-hans|japonais|音譯|r to|versalita|versalitas
        """,
        FIRST,
    ),
    (
        "ill|interlanguage link|interlanguage link multi|illm|仮リンク",
        lambda call: call.arg(1, "lt", "label", "display"),
    ),
    ("tsl|translink", lambda call: call.arg(4) or call.arg(3)),
    ("le", lambda call: call.arg(3) or call.arg(1)),
    ("lang|langue|lang2|en langue|script|legend|color|colour|fontcolor|font color|link-text|hover title", SECOND),
    ("transl|transliteration|transliterasi|chuyển tự|translit", LAST),
    ("linktext|chem|ce", JOINED),
    ("eqm", _saying("⇌")),
    ("sic", lambda call: FIRST(call) or "[sic]"),
    ("code|kbd|tt|mono", lambda call: _literal(FIRST(call))),
    ("tag", lambda call: _literal(f"<{call.arg(1)}>") if call.arg(1) else ""),
    ("angbr|angle bracket|grapheme", lambda call: f"⟨{call.arg(1)}⟩"),
    ("respell|pronunciation respelling", lambda call: "-".join(call.args)),
    ("nihongo|nihongo2|nihongo3|nihongo krt", _nihongo),
    ("ipac-en", _ipa_english),
    ("convert|cvt|conv|convertir|chuyển đổi", lambda call: convert(call.args, call.lang)),
    ("formatnum|num|formatnombre|formnum|nts|number", lambda call: grouped(call.arg(1), call.lang)),
    ("val", lambda call: value(call.args, call.named)),
    ("e", lambda call: f"×10{power(call.arg(1))}" if call.arg(1) else ""),
    ("frac|sfrac|fraction", lambda call: fraction(call.args)),
    ("height", lambda call: height(call.args, call.named, call.lang)),
    ("as of|tính đến", _as_of),
    ("circa|c.|ca.", lambda call: f"c. {' – '.join(call.args)}".strip()),
    ("floruit|fl.", lambda call: f"fl. {' – '.join(call.args)}".strip()),
    ("reign|r.", lambda call: f"r. {' – '.join(call.args)}".strip()),
    ("née|nee", _unless_empty("née ")),
    ("né", _unless_empty("né ")),
    ("zh|zh-c|chinese", lambda call: ", ".join([*call.args, *(v for k, v in call.named.items() if k in _CHINESE)])),
    ("lien|link", lambda call: call.arg(1, "texte", "fr", "text", "trad")),
    ("usd|us$", _unless_empty("US$")),
    ("cad", _unless_empty("C$")),
    ("gbp", _unless_empty("£")),
    ("eur|€", _unless_empty("€")),
    ("inr|indian rupee", lambda call: f"₹{call.arg(1)}"),
    ("uss|hms|sms|ss|hmas|rms|hmcs", lambda call: f"{call.name.upper()} {call.arg(1)}"),
    ("ship", lambda call: f"{call.arg(1)} {call.arg(2)}".strip()),
    ("mdash|em dash|—|mdashb|spaced em dash", _saying("—")),
    ("snd|spaced ndash|spnd|dash|spaced en dash|ndash spaced", _saying(" – ")),
    ("ndash|en dash|–|nbndash", _saying("–")),
    ("nbsp|space|spaces|space double|thinsp|thin space|hair space|hairsp|espace|esp", _saying(" ")),
    ("zwnj", _saying("\u200c")),
    ("zwsp|zwj", NOTHING),
    ("hyphen", _saying("-")),
    ("pi", _saying("π")),
    ("sqrt|radic", _unless_empty("√")),
    ("'|`|'-|-'", _saying("'")),
    ("'s", _saying("'s")),
    ("=", _saying("=")),
    ("·|•|bull|middot|dot", _saying(" · ")),
    ("...|etc.|etc", lambda call: {"etc.": " etc.", "etc": " etc."}.get(call.name, "...")),
)
"""The text of each template, in all wikis; names are case folded, with spaces."""

BY_LANGUAGE = {
    "fr": _table(
        ("unité|unite|nombre|tmp|température|monnaie", lambda call: unite(call.args, call.lang)),
        ("euro|euros", lambda call: f"{grouped(call.arg(1), call.lang)} €"),
        ("date|date-|date de naissance|date de décès|date de naissance-|date de décès-|1er janvier", _french_date),
        ("e|er|re|ère|nd|nde|ème|ers|res", lambda call: call.name),
        ("exp|exposant", lambda call: power(call.arg(1))),
        ("ind|indice", FIRST),
        ("n°|numéro", _unless_empty("n° ")),
        ("heure", lambda call: " ".join(word for word in (call.arg(1), "h", call.arg(2)) if word)),
        ("s|s-|siècle|sp|sp-|-s|-s-", lambda call: " ".join(f"{number}e" for number in call.args[:1]) + " siècle"),
        ("incise", lambda call: f" – {call.arg(1)}" + ("" if "stop" in call.args[1:] else " – ")),
        ("citation", _unless_empty("« ", 1, " »")),
        ("souverain|souverain2|souverain3|souverain-", lambda call: call.arg(1).partition(" (")[0]),
    ),
    "de": _table(
        ("höhe", lambda call: f"{grouped(call.arg(1), call.lang)} m"),
        ('"|zitat|„', lambda call: f"„{call.arg(1, 'text')}“"),
        ('s|-"', NOTHING),
    ),
    "it": _table(("exp", lambda call: f"{call.arg(1)}×10{power(call.arg(2))}" if call.arg(2) else "")),
    "vi": _table(("ps", lambda call: fraction(call.args))),
    "ar": _table((_ARABIC_LANGUAGES, lambda call: f"(بال{call.name}: {call.arg(1)})" if call.arg(1) else "")),
}
"""Templates of a single language's Wikipedia."""

_ROMAN = "(?=[ivx])x{0,3}(?:ix|iv|vi{0,3}|i{0,3})"
_PATTERNS: tuple[tuple[re.Pattern[str], str, Render], ...] = (
    (re.compile(r"(?:lang|link|ipa)-\S+|لغة-\S+|لغات-\S+"), "", FIRST),
    (re.compile(r"\w{2,3}[ -]icon|(?:cite|chú thích|citation|ouvrage|استشهاد|حوالہ)(?: .+)?"), "", NOTHING),
    (re.compile(rf"\d+(?:er|re|e|ème|es)|{_ROMAN}(?:(?:e|er) siècle|er|re|e)|(?=..){_ROMAN}"), "fr", _ordinal),
    (re.compile(r"lien web|article|internetquelle|literatur|article encyclopédique"), "fr de", NOTHING),
    (re.compile("|".join([*LANGUAGES, "mul"])), "fr de vi sw", NOTHING),
)
"""Patterns of names, their languages (empty: all), and their text; the first match counts."""
NAMESPACE = (
    "(?:template|modèle|vorlage|plantilla|predefinição|modello|sjabloon|szablon|šablona|šablóna|sablon|skabelon|mall|mal"
    "|malline|format|predloga|šablon|şablon|шаблон|πρότυπο|txantiloi|veidne|šablonas|templat|bản mẫu|kigezo|ŝablono"
    "|قالب|سانچہ|الگو|תבנית|साँचा|টেমপ্লেট|வார்ப்புரு|మూస|แม่แบบ|틀|テンプレート|模板|樣板|t)"
)
"""Names of the namespace of templates, case folded."""
_NAMESPACE = re.compile(rf"{NAMESPACE}\s*:\s*")
_ARGUMENT = re.compile(r"\s*+([^\s=<>\[\]{}|\"'][^=<>\[\]{}|\"']*+)=(?!=)(.*)", re.DOTALL)
_BAR = re.compile(r"\|(?![^\[\]]{0,300}+\]\])")
"""A bar between arguments, not within a link."""


def write_out(body: str, lang: str) -> str | None:
    """The text of a template of the table; None if the table lacks it, or has no text for its arguments.

    An empty string means that the template shows nothing in prose: a note, a citation, a flag.

    Args:
        body: The template without its braces; templates within are written out, or hidden, already.
        lang: The code of the page's Wikipedia.
    """
    name = " ".join(body.partition("|")[0].replace("_", " ").split())
    folded = name.casefold()
    colon = folded.partition(":")
    if colon[1] and colon[0] in ("formatnum", "nowrap"):
        folded, body = colon[0], f"{colon[0]}|{name.partition(':')[2]}"
    elif colon[1]:
        folded = _NAMESPACE.sub("", folded, count=1)
    render = _render_of(folded, lang) if len(folded) < 256 else None  # the longest title
    if render is None or render is NOTHING:
        return render and ""
    args, named = arguments(body)
    return render(Call(name, folded, args, named, lang)) or None


def is_in_table(name: str, lang: str) -> bool:
    """Whether the table has a template of this name."""
    return _render_of(" ".join(name.replace("_", " ").split()).casefold(), lang) is not None


def arguments(body: str) -> tuple[list[str], dict[str, str]]:
    """The positional and the named arguments of a template, stripped.

    Args:
        body: The template without its braces; templates within are written out, or hidden, already.
    """
    args: list[str] = []
    named: dict[str, str] = {}
    for part in (_BAR.split(body) if "[[" in body else body.split("|"))[1:]:
        match = _ARGUMENT.fullmatch(part)
        key = match[1].rstrip() if match else ""
        if match and key.isdecimal() and len(key) < 5 and int(key) == len(args) + 1:
            args.append(match[2].strip())
        elif match:
            named[key] = match[2].strip()
        else:
            args.append(part.strip())
    return args, named


@lru_cache(maxsize=65536)
def _render_of(name: str, lang: str) -> Render | None:
    code = lang.partition("-")[0]
    fitting = (r for names, langs, r in _PATTERNS if (not langs or code in langs.split()) and names.fullmatch(name))
    return BY_LANGUAGE.get(code, {}).get(name) or ANYWHERE.get(name) or next(fitting, None)
