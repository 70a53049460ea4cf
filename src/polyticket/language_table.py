"""The table of `polyticket.languages`: a row for each Wikipedia of multilingual BERT, in the order of its rows.

Columns: the Wikipedia's code; the language's English name; the Unicode scripts it is written in, the commonest first;
the language whose rules sentencex 1.0.32 applies when asked for this code, ``-`` where it is not asked; its own name.
"""

TABLE = """
en  | English           | Latin                   | en | English
ceb | Cebuano           | Latin                   | en | Cebuano
de  | German            | Latin                   | de | Deutsch
sv  | Swedish           | Latin                   | en | svenska
fr  | French            | Latin                   | fr | français
nl  | Dutch             | Latin                   | nl | Nederlands
ru  | Russian           | Cyrillic                | ru | русский
es  | Spanish           | Latin                   | es | español
it  | Italian           | Latin                   | it | italiano
pl  | Polish            | Latin                   | pl | polski
ja  | Japanese          | Han, Hiragana, Katakana | ja | 日本語
vi  | Vietnamese        | Latin                   | en | Tiếng Việt
war | Waray             | Latin                   | en | Winaray
uk  | Ukrainian         | Cyrillic                | uk | українська
ar  | Arabic            | Arabic                  | ar | العربية
pt  | Portuguese        | Latin                   | pt | português
fa  | Persian           | Arabic                  | en | فارسی
ca  | Catalan           | Latin                   | ca | català
sr  | Serbian           | Cyrillic, Latin         | en | српски / srpski
id  | Indonesian        | Latin                   | en | Bahasa Indonesia
ko  | Korean            | Hangul, Han             | en | 한국어
no  | Norwegian Bokmål  | Latin                   | en | norsk bokmål
fi  | Finnish           | Latin                   | fi | suomi
tr  | Turkish           | Latin                   | en | Türkçe
hu  | Hungarian         | Latin                   | en | magyar
cs  | Czech             | Latin                   | sk | čeština
ce  | Chechen           | Cyrillic                | ru | нохчийн
sh  | Serbo-Croatian    | Latin, Cyrillic         | en | srpskohrvatski / српскохрватски
ro  | Romanian          | Latin                   | en | română
tt  | Tatar             | Cyrillic, Latin         | ru | татарча / tatarça
eu  | Basque            | Latin                   | en | euskara
ms  | Malay             | Latin                   | en | Bahasa Melayu
he  | Hebrew            | Hebrew                  | en | עברית
hy  | Armenian          | Armenian                | hy | հայերեն
da  | Danish            | Latin                   | da | dansk
bg  | Bulgarian         | Cyrillic                | bg | български
cy  | Welsh             | Latin                   | en | Cymraeg
azb | South Azerbaijani | Arabic                  | en | تۆرکجه
sk  | Slovak            | Latin                   | sk | slovenčina
kk  | Kazakh            | Cyrillic                | kk | қазақша
et  | Estonian          | Latin                   | en | eesti
min | Minangkabau       | Latin                   | en | Minangkabau
be  | Belarusian        | Cyrillic                | en | беларуская
el  | Greek             | Greek                   | el | Ελληνικά
hr  | Croatian          | Latin                   | en | hrvatski
lt  | Lithuanian        | Latin                   | en | lietuvių
gl  | Galician          | Latin                   | pt | galego
az  | Azerbaijani       | Latin                   | en | azərbaycanca
uz  | Uzbek             | Latin, Cyrillic         | en | oʻzbekcha / ўзбекча
ur  | Urdu              | Arabic                  | en | اردو
sl  | Slovenian         | Latin                   | en | slovenščina
ka  | Georgian          | Georgian                | en | ქართული
nn  | Norwegian Nynorsk | Latin                   | en | norsk nynorsk
hi  | Hindi             | Devanagari              | hi | हिन्दी
th  | Thai              | Thai                    | -  | ไทย
ta  | Tamil             | Tamil                   | ta | தமிழ்
la  | Latin             | Latin                   | en | Latina
mk  | Macedonian        | Cyrillic                | en | македонски
ast | Asturian          | Latin                   | es | asturianu
bn  | Bangla            | Bengali                 | bn | বাংলা
lv  | Latvian           | Latin                   | en | latviešu
tg  | Tajik             | Cyrillic                | en | тоҷикӣ
af  | Afrikaans         | Latin                   | en | Afrikaans
my  | Burmese           | Myanmar                 | my | မြန်မာဘာသာ
mg  | Malagasy          | Latin                   | fr | Malagasy
bs  | Bosnian           | Latin                   | en | bosanski
mr  | Marathi           | Devanagari              | mr | मराठी
oc  | Occitan           | Latin                   | ca | occitan
sq  | Albanian          | Latin                   | en | shqip
ky  | Kyrgyz            | Cyrillic                | en | кыргызча
ml  | Malayalam         | Malayalam               | ml | മലയാളം
te  | Telugu            | Telugu                  | te | తెలుగు
sw  | Swahili           | Latin                   | en | Kiswahili
br  | Breton            | Latin                   | en | brezhoneg
new | Newar             | Devanagari              | en | नेपाल भाषा
jv  | Javanese          | Latin                   | en | Jawa
ht  | Haitian Creole    | Latin                   | fr | Kreyòl ayisyen
pms | Piedmontese       | Latin                   | it | Piemontèis
pnb | Western Punjabi   | Arabic                  | en | پنجابی
su  | Sundanese         | Latin                   | en | Sunda
lb  | Luxembourgish     | Latin                   | de | Lëtzebuergesch
ba  | Bashkir           | Cyrillic                | ru | башҡортса
ga  | Irish             | Latin                   | en | Gaeilge
lmo | Lombard           | Latin                   | it | lombard
is  | Icelandic         | Latin                   | en | íslenska
cv  | Chuvash           | Cyrillic                | ru | чӑвашла
fy  | Western Frisian   | Latin                   | en | Frysk
tl  | Tagalog           | Latin                   | en | Tagalog
an  | Aragonese         | Latin                   | es | aragonés
sco | Scots             | Latin                   | en | Scots
pa  | Punjabi           | Gurmukhi                | pa | ਪੰਜਾਬੀ
io  | Ido               | Latin                   | en | Ido
vo  | Volapük           | Latin                   | en | Volapük
yo  | Yoruba            | Latin                   | en | Yorùbá
ne  | Nepali            | Devanagari              | en | नेपाली
gu  | Gujarati          | Gujarati                | gu | ગુજરાતી
kn  | Kannada           | Kannada                 | kn | ಕನ್ನಡ
bar | Bavarian          | Latin                   | de | Boarisch
scn | Sicilian          | Latin                   | it | sicilianu
bpy | Bishnupriya       | Bengali                 | bn | বিষ্ণুপ্রিয়া মণিপুরী
mn  | Mongolian         | Cyrillic                | en | монгол
nds | Low German        | Latin                   | de | Plattdüütsch
zh  | Chinese           | Han                     | en | 中文
"""
