"""The demo's customers: who they are, what they speak, how many follow them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on the simulated network. The handle never changes there."""

    handle: str
    name: str
    language: str
    followers: int


US = Person("northwindhelp", "Northwind Outfitters", "en", 48_200)
SPAMMERS = (
    Person("easy.money.now", "Easy Money", "en", 3),
    Person("dealz_4_u", "DEALZ", "en", 11),
    Person("geld.von.zuhause", "Nebenjob Profi", "de", 2),
    Person("gana_facil", "Gana Fácil", "es", 5),
    Person("argent.facile", "Argent Facile", "fr", 4),
)

_PEOPLE = """
en maya.okafor Maya Okafor|312
en tom_hartley Tom Hartley|88
en priya.n Priya Nair|1540
en jonas.w Jonas Wetherby|45
en grace_liu Grace Liu|2210
en callum.mcrae Callum McRae|167
en hikingwithhelen Helen Sharpe|18400
en dev.patel Dev Patel|530
en ruth.ab Ruth Abernathy|29
en oisin.k Oisín Kelleher|211
en trailnotes Marcus Bell|64200
en sophie.tran Sophie Tran|403
en bigdogbert Bert Lindqvist|76
en nadia.r Nadia Rahman|950
en will.fenwick Will Fenwick|12
en amara.j Amara Johnson|1280
en petra.outdoors Petra Novak|5170
en leo.castle Leo Castle|34
en ellen.hs Ellen Hughes|142
en scoutgroup17 17th Leeds Scouts|690
en kofi.m Kofi Mensah|257
en zoe.park Zoe Park|3340
en frank.delaney Frank Delaney|8
en ivy.rose Ivy Rosenthal|415
en sam.wild Sam Wildman|27900
de anna.berger Anna Berger|190
de t.krause Thomas Krause|64
de mehmet.y Mehmet Aydemir|720
de wanderlotte Lotte Hoffmann|8900
de jan.p Jan Petersen|33
de sabine.mk Sabine Maier-Kolb|118
de felix.grat Felix Grat|2400
de oma.gerda Gerda Schulz|9
es lucia.g Lucía Gómez|540
es javi_monte Javier Montes|12300
es carmen.ruiz Carmen Ruiz|75
es diego.sal Diego Salazar|310
es marta.pv Marta Pérez Vidal|1660
es abuelo.paco Paco Jiménez|21
fr camille.r Camille Roux|260
fr jb.laurent Jean-Baptiste Laurent|94
fr ines.k Inès Khelifi|1870
fr rando.hugo Hugo Marchand|15200
fr odile.b Odile Bertin|17
ja haruka_yama 山本遥|860
ja kenta.s 佐藤健太|120
ja yuki.camp 中村雪|22100
ja mori_taro 森太郎|44
ja aoi.tn 田中葵|305
ar layla.h ليلى حداد|430
ar omar.s عمر السيد|1200
ar noor.trails نور العلي|9700
pt ines.carvalho Inês Carvalho|280
pt rui.f Rui Ferreira|59
pt bia.santos Beatriz Santos|3100
it giulia.m Giulia Marchetti|470
it luca.bn Luca Benedetti|81
it passo.lento Elena Ferri|6400
"""


def _read(line: str) -> Person:
    language, handle, rest = line.split(" ", 2)
    name, followers = rest.split("|")
    return Person(handle, name, language, int(followers))


CUSTOMERS = tuple(_read(line) for line in _PEOPLE.strip().splitlines())
EVERYBODY = {person.handle: person for person in (US, *SPAMMERS, *CUSTOMERS)}


def person(handle: str) -> Person:
    """Who that is; somebody new when nobody knows the handle."""
    return EVERYBODY.get(handle) or Person(handle, handle, "en", 0)
