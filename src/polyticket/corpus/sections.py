"""Sections at the end of articles whose lists are sources and links: no sentences of the article's own."""

import re

_LINK = re.compile(r"\[\[[^\[\]]*+\]\]")
_WORD = re.compile(r"[^\W_]")


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().casefold() for name in text.replace("\n", "|").split("|") if name.strip())


END_MATTER = _names(
    """
    References|Notes|Notes and references|References and notes|Footnotes|Citations|Sources|Works cited
    Bibliography|Further reading|External links|External link|See also|Primary sources|Secondary sources
    General references|Einzelnachweise|Weblinks|Literatur|Siehe auch|Anmerkungen|Quellen|Belege|Fußnoten
    Literatur (Auswahl)|Notes et références|Références|Note|Bibliographie|Liens externes|Lien externe
    Voir aussi|Articles connexes|Annexes|Sources et bibliographie|Tham khảo|Liên kết ngoài|Chú thích|Ghi chú
    Xem thêm|Thư mục|Đọc thêm|Nguồn|Tài liệu tham khảo|Sách tham khảo|Nguồn tham khảo|Tài liệu|参考文献|參考文獻
    参考资料|參考資料|外部链接|外部連結|外部鏈接|参见|參見|参考来源|參考來源|註釋|注释|注釋|註解|延伸阅读|延伸閱讀|相关条目|相關條目|扩展阅读|المراجع|مراجع|مصادر
    المصادر|هوامش|وصلات خارجية|روابط خارجية|انظر أيضا|انظر أيضًا|انظر ايضا|اقرأ أيضا|مراجع ومصادر|حوالہ جات
    بیرونی روابط|مزید دیکھیے|مزید دیکھیں|کتابیات|حواشی|ملاحظات|Marejeo|Viungo vya nje|Tazama pia|Tanbihi
    Viungo vya Nje|Referencias|Enlaces externos|Véase también|Bibliografía|Notas|Notas y referencias
    Referências|Ligações externas|Ver também|Bibliografia|Notas e referências|Leitura adicional
    Collegamenti esterni|Voci correlate|Altri progetti|Примечания|Литература|Ссылки|См. также|Источники
    Сноски|Примітки|Література|Посилання|Див. також|Джерела|Przypisy|Linki zewnętrzne|Zobacz też|Uwagi
    Bronnen, noten en/of referenties|Externe links|Zie ook|Literatuur|Referenties|Referenser|Källor
    Externa länkar|Se även|Litteratur|Noter|Kaynakça|Dış bağlantılar|Ayrıca bakınız|Notlar|Referensi
    Pranala luar|Lihat pula|Lihat juga|Catatan kaki|Daftar pustaka|منابع|پیوند به بیرون|جستارهای وابسته
    پانویس|脚注|外部リンク|関連項目|出典|注釈|参考図書|각주|외부 링크|같이 보기|참고 문헌|참고문헌|सन्दर्भ|बाहरी कड़ियाँ
    इन्हें भी देखें
    তথ্যসূত্র|বহিঃসংযোগ|আরও দেখুন|הערות שוליים|קישורים חיצוניים|ראו גם|לקריאה נוספת|Reference|Externí odkazy
    Související články|Poznámky|Literatura|Jegyzetek|További információk|Források|Kapcsolódó szócikkek
    Lähteet|Viitteet|Aiheesta muualla|Katso myös|Legături externe|Vezi și|Note bibliografice|Παραπομπές
    Εξωτερικοί σύνδεσμοι|Βιβλιογραφία|Δείτε επίσης
    """
)
"""Headings of such sections in the larger Wikipedias, case folded."""


def heading_name(heading: str) -> str:
    """What a heading such as ``== External links ==`` says, case folded and trimmed."""
    return " ".join(heading.strip("= \t:'").casefold().split())


def heading_level(heading: str) -> int:
    """How many equality signs a heading begins with."""
    return len(heading) - len(heading.lstrip("="))


def is_links(item: str) -> bool:
    """Whether a list item holds links and no word beside them."""
    return "[[" in item and not _WORD.search(_LINK.sub("", item))
