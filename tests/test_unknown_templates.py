"""Templates that nothing defines: those that stand in a sentence as words do show their text."""

import pytest

from polyticket.corpus.budget import Budget
from polyticket.corpus.lines import show_links
from polyticket.corpus.templates import Definitions, Templates
from polyticket.corpus.wikitext import TEMPLATE_GONE
from tests.support.wiki_text import extracted, paragraphs

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
