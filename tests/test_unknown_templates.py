"""Templates that nothing defines: those that stand in a sentence as words do show their text."""

import json
from collections import Counter
from xml.sax.saxutils import escape

import pytest

from polyticket.corpus.budget import Budget
from polyticket.corpus.lines import show_links
from polyticket.corpus.template_kinds import (
    Uses,
    count_uses,
    is_sampled,
    kind_of,
    learn_kinds,
    read_kinds,
    sample_share,
    write_uses,
)
from polyticket.corpus.templates import Definitions, Templates, collect_templates, is_module_call
from polyticket.corpus.wikitext import TEMPLATE_GONE
from tests.support.wiki_text import HEAD, extracted, paragraphs

SHOWN = {
    # links to other languages, foreign words, notes on words, in several scripts
    "小説「{{仮リンク|青い鳥|en|Blue Bird}}」の中で語る。": "小説「青い鳥」の中で語る。",
    "これは{{仮リンク|青い鳥|en|Blue Bird}}である。": "これは青い鳥である。",
    "Antik Yunanca ''{{dil|grc|matesis}}'' kelimesi.": "Antik Yunanca matesis kelimesi.",
    "Місто {{не перекладено|Старий міст||en|Old Bridge}} стоїть.": "Місто Старий міст стоїть.",
    "كتب {{وإو|الجسر القديم|en|Old Bridge}} هنا.": "كتب الجسر القديم هنا.",
    "Si dice {{chiarire|nell'ultimo decennio}}, forse.": "Si dice nell'ultimo decennio, forse.",
    "{{senza fonte|La città è grande}} e bella.": "La città è grande e bella.",
    # numbers with units
    "আয়তন {{রূপান্তর|306|km2|sqmi}}। আছে।": "আয়তন 306 km²। আছে।",
    "È a {{M|61.000||km/h}} e {{M|1|c|m}} di qui.": "È a 61.000 km/h e 1 cm di qui.",
    "Es sind {{Zahl|1234}} Leute.": "Es sind 1234 Leute.",
    # what shows nothing
    "A word.{{fuente|Smith|2005|p=4}} And more{{nota|x}}.": "A word. And more.",
    "Το κείμενο{{εκκρεμεί|πηγή}} είναι εδώ.": "Το κείμενο είναι εδώ.",
    "文である。{{要出典範囲|date=2010}} 次の文。": "文である。 次の文。",
    "La {{bandiera|ITA}} [[Italia]] vinse.": "La Italia vinse.",
    "La {{bandiera|Italia}} [[Italia|Italia]] vinse.": "La Italia vinse.",
    "Sta qui {{posizione|45|30|N|12|20|E}} da anni.": "Sta qui da anni.",
    "Lo dice {{cita|autore=A|titolo=B|anno=1990}} oggi.": "Lo dice oggi.",
    "Vedi {{video|gPhhoxIM_kw}} e {{suono|x y.ogg}} qui.": "Vedi e qui.",
    "{{মূল নিবন্ধ|পৃথিবীর আকার}}পৃথিবী গোল।": "পৃথিবী গোল।",
    "The {{empty}} word {{none|}} here.": "The word here.",
}


@pytest.mark.parametrize("wikitext", SHOWN)
def test_unknown_templates_within_sentences(tmp_path, wikitext):
    assert paragraphs(tmp_path, wikitext, lang="it") == [SHOWN[wikitext]]


CALLS = [
    "{{#invoke:Stats|population|France}}",
    "{{ safesubst:#invoke:Stats|words|Grand Est}}",
    "{{#titleparts:A/B|1}}",
    "{{#coordinates:1|2}}",
    "{{plural:2|word|words}}",
    "{{fullurl:Rome|a}}",
]


@pytest.mark.parametrize("call", CALLS)
def test_functions_show_nothing_and_are_counted(tmp_path, call):
    page, ledger = extracted(tmp_path, {"A": f"There are {call} people here."})
    assert page["A"] == ["There are people here."]
    assert ledger["lost"]["templates"] == 1
    assert ledger["templates"]["dropped"] == 1


def test_templates_alone_show_quotations_and_nothing_else(tmp_path):
    said = "«Ես ուզում էի գրել ստեղծագործության այնպիսի տեսակ, որում հնարավոր լիներ երգել։»"
    text = (
        f"Նա ասաց.\n\n{{{{քաղվածք|{said}|Հեղինակ}}}}\n\n{{{{Հիմնական|Մեղվաբուծություն}}}}\nՎերջ։\n"
        "{| class=a\n| {{flag|Roma}} text\n|}\n{{Box\n|name = {{x|Long text}} here\n}}"
    )
    page, ledger = extracted(tmp_path, {"A": text}, lang="hy")
    assert page["A"] == ["Նա ասաց.", said, "Վերջ։"]
    assert (ledger["templates"]["shown"], ledger["templates"]["names"]) == (1, {"Box": 1, "Հիմնական": 1, "x": 1})


def test_the_dumps_own_definition_goes_before(tmp_path):
    defined = {"Mark": "[{{{2}}}]"}
    assert paragraphs(tmp_path, "A {{mark|one|two}} here.", templates=defined) == ["A [two] here."]


OF_FORM = {
    "A l'inici del {{segle|XIII|s}} i {{séc|XX}}, do.": "A l'inici del segle XIII i séc XX, do.",
    "En el siglo {{versalita|XIV}}, a {{k|XV}} és{{jct|state=CA|I|5}}.": "En el siglo XIV, a XV és.",
    "他在{{tsl|en|Oxford|牛津}}，{{le|名|Name|名字}}。后来，{{青色|田中}}来了。{{青色|山田}}是医生。": (
        "他在牛津，名字。后来，田中来了。山田是医生。"
    ),
    "The {{ill|Bob Smith (actor)|de|lt=Bob Smith}} and {{仮リンク|ジョン|en|John}}.": "The Bob Smith and ジョン.",
    "Es hat {{Metadaten Einwohnerzahl AT|10101}} Einwohner.": "Es hat 10101 Einwohner.",
    "La {{daton|18|januaro|1791}} Frederiko.": "La 18 januaro 1791 Frederiko.",
    "Zhruba {{km|70|m}} západne, {{mnm|34|w}} vyše.": "Zhruba 70 km západne, 34 vyše.",
    "মহাদেশ; {{রূপান্তর|10,180,000|km2|sqmi}} বা": "মহাদেশ; 10,180,000 km² বা",
    "Passando a {{M|700|-|°C}} e {{m|1,17|M|eV}} si ha.": "Passando a 700 °C e 1,17 MeV si ha.",
    "Un costo di ${{cambio|917,000|USD}} ha.": "Un costo di $917,000 USD ha.",
    "The {{US patent|1781541}} was given.": "The US patent 1781541 was given.",
    "È ''Comprehensive [[TeX|{{TeX}}]] Archive''.": "È ''Comprehensive [[TeX|TeX]] Archive''.",
    "En {{XIIvet}} kantved eo.": "En XIIvet kantved eo.",
    "'''vôi hoá''' ({{hn|hn=𥔦化}}) và {{ill|en=Foo|it=Bar}} là.": "'''vôi hoá''' (𥔦化) và Bar là.",
    "In 3 classi {{colore|navy|80}} e {{colore|maroon|prima}} posti.": "In 3 classi 80 e prima posti.",
    "Da {{M|100|–|150|m|abbr=on}} a {{M|6000|Celsius}}, {{M|150|e6km}} qui.": "Da 100–150 m a 6000 °C, 150×10⁶ km qui.",
    "La concentrazione di {{CO2}} e {{Exp|1,9|19}} anni.": "La concentrazione di CO2 e 1,9×10¹⁹ anni.",
    "Di {{Section link||Somma}} nel [[secolo XX|secolo {{Versaleta|xx}}]].": "Di Somma nel [[secolo XX|secolo xx]].",
    "Con 377 per {{Fmtn|1000}} abitanti (570/1000).": "Con 377 per 1000 abitanti (570/1000).",
    "('''B''' {{Dil-de|Berlin}} {{audio|De-Berlin.ogg}}) è.": "('''B''' Berlin ) è.",
    "Un {{sic}} costo ($ 5 {{eqm}} US${{Inflation|US|5|1929}} today).": "Un [sic] costo ($ 5 ⇌  today).",
    "Oggi {{currency|13&nbsp;billion|USD}} in {{passo biblico|Rm|16,11}}.": "Oggi 13&nbsp;billion USD in Rm 16,11.",
    "Il {{OldStyleDate|February 2|1905|January 20}} a {{srlink|Aiuto:Guida|guida}} è.": "Il February 2 1905 a guida è.",
    # what shows nothing
    "Il {{Metadaten Zahl|Berlin|Datum}} e {{libro|0-393-04002-X}} qui.": "Il  e  qui.",
    "* 2000 {{знамеикона|ВБР}} '''[[Лондон]]'''": "* 2000  '''[[Лондон]]'''",
    "Yw oddeutu {{wikidata|p2046}} km, {{wikidata|properties|Q64}} o.": "Yw oddeutu  km,  o.",
    "Vedi {{libro|0306406152}} e {{libro|123456789}} qui.": "Vedi  e  qui.",
    "Su {{NazNB|CA|GER}} e {{ԱԾ}} qui.": "Su  e  qui.",
    # what nothing closes, or opens
    "Tanzania{{Infobox officeholder\n| name = x\nText.": "Tanzania| name = x\nText.",
    "Testo. {{nota|uno|due [[a|b]] resta.\nText.": "Testo. due [[a|b]] resta.\nText.",
    "Fine։}} e 1 }} o {{ 2.": "Fine։ e 1 }} o {{ 2.",
}


@pytest.mark.parametrize("wikitext", OF_FORM)
def test_forms_of_calls(wikitext):
    held = Templates("it", Definitions(), Budget(len(wikitext)))
    assert held.replace(wikitext).replace(TEMPLATE_GONE, "") == OF_FORM[wikitext]


def test_a_quoted_sentence_below_a_heading_is_an_epigraph():
    said = "Onu kelari menuta doli veran, kolu mena tirasi, vela onu tari kumela dosi."
    for quoted, shown in ((f"«{said}».", True), (f"''“{said}”''", True), (said, False)):
        text = f"== Tari ==\n{{{{epi|{quoted}|Velo}}}}\nOnu vela."
        held = Templates("it", Definitions(), Budget(len(text)))
        assert (said in held.replace(text)) is shown


def test_tags_in_code_are_text(tmp_path):
    text = "Tags as {{code|lang=html|code=<p>}} and {{code|<b>x</b>}} and {{tag|img}} are used."
    assert paragraphs(tmp_path, text) == ["Tags as <p> and <b>x</b> and <img> are used."]


def test_labels_of_links_to_other_namespaces_show_within_lines():
    text = "See [[Portal:Art|art]], [[File:A.jpg|b]] [[Portal:Art]] [[Kat:A|b]].\n[[Portal:Art|art]]"
    expected = "See art, [[File:A.jpg|b]] Portal:Art [[Kat:A|b]].\n[[Portal:Art|art]]"
    assert show_links(text, {"file", "kat"}) == expected


QUOTED = "Onu kelari menuta doli veran, kolu mena tirasi, vela onu tari kumela dosi."
USED = {
    "nothing": "Tari kumela.{{vero|Dosi 12|1990}} Onu vela{{vero|Kuro|1991}} dosi.",
    "nothing, flags": "* {{flago|Tarilo}} [[Kumela]] 12\n* Onu {{flago|Velano}} '''[[Dosi]]''' vela",
    "nothing, notices": "{{cefa|Kumela tari}}\nOnu vela dosi.\n{{cefa|Dosi}}",
    "nothing, what follows": "Onu {{marko|Tari}} [[Tari]] vela {{marko|Dosi}} dosi kumela.",
    "nothing, files": "Onu {{sono|Tari.ogg|kumela}} vela {{sono|x y.wav}} dosi.",
    "first": "Onu {{dube|kumela tari|1990}} vela, {{dube|dosi}} kumela.",
    "second": "Onu {{lingo|xo|kumela tari}} vela, {{lingo|yo|dosi}} kumela.",
    "second, colours": "Onu {{tinto|#ff0000|kumela}} vela, {{tinto|navy|dosi}} kumela.",
    "number": "Onu {{mezuro|306|km2|sqmi}} vela, {{mezuro|12}} kumela.",
    "quotation": f"Tari kumela:\n\n{{{{cito|{QUOTED}|Tari}}}}\n\nOnu vela dosi.\n\n{{{{cito|{QUOTED}}}}}",
    "lookup": "Onu {{popo|Tari}} vela {{popo|Jaro}}, {{popo|ref}} kumela.",
    "name": "Onu 1200 {{m s. m.}} vela, 12&nbsp;{{m s. m.}} kumela.",
    "lookup, in fields": "{{Tabelo|a={{popo|Tari}} {{popo|ref}}}}\nOnu {{popo|Tari}} vela.",
    "name, of a link": "Onu [[TaRi|{{TaRi}}]] vela, {{TaRi}} kumela.",
    "none": "Onu {{vario|kumela}} vela, {{vario|12}} kumela {{vario|XY}} dosi.",
    "none, without text": "Onu {{nova}} vela, {{nova}} kumela.",
    "none, codes": "Onu {{landoj|XA|YB}} vela, {{landoj|XB}} kumela.",
}


def uses(text: str, times: int = 5) -> dict[str, Uses]:
    found: dict[str, Uses] = {}
    for _ in range(times):
        count_uses(text, "xx", found)
    return found


@pytest.mark.parametrize("case", USED)
def test_a_name_has_the_kind_of_its_uses(case):
    (found,) = uses(USED[case]).values()
    kind = case.partition(",")[0]
    assert kind_of(found) == (None if kind == "none" else kind)
    (few,) = uses(USED[case], times=1).values()
    assert kind_of(few) == ("lookup" if kind == "lookup" else None)


def test_only_calls_in_prose_outside_of_others_count():
    text = (
        "<!-- Onu {{x|kumela}} vela. -->Onu<ref>Tari {{x|kumela}}</ref> vela.<ref name=a />\n"
        "{{Tabelo\n| a = {{x|kumela}}\nOnu {{x|kumela}} vela. }}\n"
        "{|\n| {{x|kumela}}\n|}\nOnu {{lang|fr|tari}} {{#if:a|b}} {{Template:x|a}} vela."
    )
    assert uses(text, 1) == {}
    text = "Onu {{x_y |kumela}}, {{X  y|dosi|a=1}} {{ vela.\n== Tari ==\nOnu {{x y\n|tari\n}} vela."
    (found,) = uses(text, 1).items()
    assert found == ("X y", Uses(Counter(word=3, words=3, below=0), "Onu {{x_y |kumela}}, {{X y|dosi|a=1}} {{ vela."))


def test_a_rare_call_is_judged_by_what_its_name_is_used_for():
    kinds = {
        "Dube": "first",
        "Vero": "nothing",
        "Cito": "quotation",
        "M s.": "name",
        "Tinto": "second",
        "Numo": "number",
    }

    def read(text: str, kinds: dict[str, str] | None) -> tuple[str, list[str]]:
        held = Templates("xx", Definitions(), Budget(len(text)), kinds)
        return held.replace(text).replace(TEMPLATE_GONE, ""), [name for name, _ in held.lost]

    for text, alone, by_kind in (
        ("Onu {{dube|NO}} vela.", "Onu  vela.", "Onu NO vela."),
        ("* {{dube|Kumela}} tari vela.", "*  tari vela.", "* Kumela tari vela."),
        ("Onu {{vero|kumela}} vela.", "Onu kumela vela.", "Onu  vela."),
        ("== Tari ==\n{{cito|Onu tari kumela dosi}}\n", "== Tari ==\n\n", "== Tari ==\nOnu tari kumela dosi\n"),
        ("== Tari ==\n{{dube|Onu tari kumela dosi}}\n", "== Tari ==\n\n", "== Tari ==\nOnu tari kumela dosi\n"),
        ("Onu 12 {{m s.}} vela.", "Onu 12  vela.", "Onu 12 m s. vela."),
        ("Onu {{tinto|kumelo|tari}} vela.", "Onu kumelo vela.", "Onu tari vela."),
        ("Onu {{numo|a=1|b=2|c=3|d=4|12|km}} vela.", "Onu  vela.", "Onu 12 km vela."),
    ):
        assert read(text, None)[0] == alone
        assert read(text, kinds)[0] == by_kind
    assert read("Onu {{vero|12|34|56|78}} vela.", None)[1] == ["vero"]
    assert read("Onu {{vero|12|34|56|78}} vela.", kinds)[1] == []
    assert read("Onu {{popo|Tari}} vela.", {"Popo": "lookup"}) == ("Onu  vela.", ["popo"])


def dump(folder, pages):
    xml = "".join(
        f"<page><title>{title}</title><ns>{space}</ns><id>{n}</id><revision><text>{escape(text)}</text></revision></page>\n"
        for n, (title, space, text) in enumerate(pages, 1)
    )
    path = folder / "dump.xml"
    path.write_text(f"{HEAD}{xml}</mediawiki>\n", encoding="utf-8")
    return path


def test_kinds_reach_the_text_alike_for_any_number_of_processes(tmp_path):
    pages = [(f"A{n}", 0, f"{USED['first']} N{n}") for n in range(3)]
    pages += [("B", 0, "Onu {{duba|NO}} vela."), ("Template:Duba", 10, "#REDIRECT [[Template:Dube]]")]
    pages += [("Template:Dube", 10, "<noinclude>{{doc}}</noinclude>{{#invoke:Tari|kumela|{{{1|}}}}}")]
    path = dump(tmp_path, pages)
    example = "Onu {{dube|kumela tari|1990}} vela, {{dube|dosi}} kumela. N0"
    one = {"kind": "first", "uses": 7, "words": 7, "example": example}
    for processes in (1, 2):
        files = [tmp_path / f"{processes}.{name}" for name in ("xml", "json")]
        assert collect_templates([path], files[0], lang="xx", processes=processes, kinds=files[1]) == 1
        assert json.loads(files[1].read_text()) == {"Duba": one, "Dube": one}
    texts, ledger = extracted(tmp_path, {title: text for title, space, text in pages if not space}, kinds=files[1])
    assert texts["B"] == ["Onu NO vela."]
    assert ledger["templates"] == {"written": 0, "shown": 7, "learnt": 7, "silent": 0, "dropped": 0, "names": {}}


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("{{#invoke:Tari|main}}", True),
        (
            "<includeonly>{{safesubst:#invoke:Tari|main|{{{1|}}}|{{#if:a|b}}}}</includeonly><noinclude>x</noinclude>",
            True,
        ),
        ("{{#gọi:Tari|main}}<!-- x -->\n", True),
        ("{{#invoke:Tari|main}} {{{1}}}", False),
        ("{{#if:{{{1|}}}|{{#invoke:Tari|main}}}}", False),
        ("{{{1}}}{{#invoke:Tari|check}}", False),
        ("{{Tari|{{{1}}}}}", False),
    ],
)
def test_definitions_that_only_call_a_module_define_nothing(definition, expected):
    assert is_module_call(definition) is expected


def test_the_file_is_bounded_and_names_the_most_frequent(tmp_path):
    found = {f"N{n}": Uses(Counter(word=n, words=n), f"e{n}") for n in range(4, 9)}
    write_uses(found, {"Alias": "N8"}, tmp_path / "0")
    write_uses({"N5": Uses(Counter(word=9, words=9), "later")}, {}, tmp_path / "1")
    kinds = learn_kinds([tmp_path / "0", tmp_path / "1"])
    assert [(name, uses.total(), uses.example) for name, (_, uses) in kinds.items()] == [
        ("N5", 14, "e5"),
        ("Alias", 8, "e8"),
        ("N8", 8, "e8"),
        ("N7", 7, "e7"),
        ("N6", 6, "e6"),
    ]
    assert list(learn_kinds([tmp_path / "0", tmp_path / "1"], most=2)) == ["N5", "Alias"]
    assert read_kinds(None) == {}


def test_large_dumps_teach_by_some_of_their_pages(tmp_path):
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(b"x" * 1000)
    assert sample_share([path]) == 1
    assert sample_share([path], 1250) == 0.25
    assert sum(is_sampled(str(page), 0.25) for page in range(10_000)) == 2494
    assert all(is_sampled(str(page), 1.0) for page in range(100))


def test_what_dumps_define_has_no_kind(tmp_path):
    write_uses({"N": Uses(Counter(word=9, words=9)), "M": Uses(Counter(word=9, words=9))}, {"M": "K"}, tmp_path / "0")
    assert list(learn_kinds([tmp_path / "0"], {"N", "M"})) == ["K", "M"]
    assert list(learn_kinds([tmp_path / "0"], {"N", "M", "K"})) == []


def test_what_nothing_closes_is_counted_in_bounded_time():
    for mark in ("<ref>", "{{", "}}", "<!--", "{{a|", "{{a|b}} ", "{{a|[[b|"):
        assert set(uses(f"Onu {mark * 20_000}", 1)) <= {"A"}
