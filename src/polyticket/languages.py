"""The 103 Wikipedias of multilingual BERT, by code, in the order of their rows."""

_CODES = """
en ceb de sv fr nl ru es it pl ja vi war uk ar pt fa ca sr id ko no fi tr hu cs ce sh ro tt eu ms he hy da bg
cy azb sk kk et min be el hr lt gl az uz ur sl ka nn hi th ta la mk ast bn lv tg af my mg bs mr oc sq ky ml
te sw br new jv ht pms pnb su lb ba ga lmo is cv fy tl an sco pa io vo yo ne gu kn bar scn bpy mn nds zh
"""
CODES: tuple[str, ...] = tuple(_CODES.split())
