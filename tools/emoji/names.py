"""Which drawings are kept, and what they show: `style/name` -> subject, category, group.

A subject is what a drawing depicts, whatever its style, skin tone, gender or pose. Subjects are what is held out, so two
names that could be the same thing must get the same subject: merging too much costs a little variety, merging too little
leaks held-out content into training. groups.tsv (made by groups.py from Unicode's emoji-test.txt) says which names
exist and to which of Unicode's subgroups ("animal-bird", "food-fruit", ...) they belong.
"""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))

# ---------------------------------------------------------------- what is dropped
TONE = re.compile(r"(light|medium-light|medium|medium-dark|dark)-skin-tone")
TONE_FLUENT = re.compile(r"-(medium-light|medium-dark|light|medium|dark)$")  # fluent says "farmer-medium"; people only
COUNTRIES = set("""australia brazil canada china egypt france germany greece india iran iraq italy japan malaysia mexico
nepal north-korea pakistan portugal russia singapore south-africa south-korea spain switzerland syria thailand
united-arab-emirates united-kingdom united-states""".split())  # what streamline calls its flags
FLAG = re.compile(r"^flag-(?!in-hole)|-?flag$|flags$|^regionalindicator|^triangularflag|pennant$")
FLAG_KEEP = {"open-mailbox-with-raised-flag"}
GLYPH_GROUPS = {"arrow", "zodiac", "av-symbol", "gender", "math", "keycap", "alphanum", "geometric", "punctuation",
                "currency", "religion", "skin-tone", "hair-style"}
GLYPH_NAMES = re.compile(
    r"^(letter|digit|keycap|input)-|^input|button(-blood-type)?$|arrow|^squared|^negativesquared|^circled|^cjkunified"
    r"|^large.*(circle|diamond)|^small.*(diamond|square)|^(black|white).*(square|circle|triangle|index|pointing.*hand)"
    r"|triangle$|triangle-pointed|trisngle$|ballot[t]?(bold|box|script)|^(medium|lower|upper)?.*(white|black)circle$"
    r"|^heavy.*(sign|circle|symbol|cross|-x)$|^whitelatincross$|exclai?mation|question-?mark|^asterisk|asterix$"
    r"|checkmark$|curlyloop|wavydash|pointedblackstar|pointedstar|^sidewaysblack|crossmark$"
    r"|^(heavy-dollar-sign|copyright|registered|trade-mark|information|informationsource|circled-m|infinity|sparkle"
    r"|eight-spoked-asterisk|part-alternation-mark|partalternationmark|male-sign|female-sign|om|omsymbol|celticcross"
    r"|up|down|left|right|overlap|maximize|minimize|increasefontsize|decreasefontsize|updownarrow|cancellationx|2|ten"
    r"|notchedrightsemi3dot|threerays.*|linksymbol|gma|gpa|index|screen|onarrowleftright|markschaptersymbol"
    r"|aquarius|aries|cancer|capricorn|gemini|leo|libra|ophiuchus|pisces|saggitarius|scorpius|taurus|virgo|mensymbol"
    r"|menssymbol|womenssymbol|tridentemblem|hundredpointssymbol|anticlockwise.*|clockwise.*|twistedrightwardsarrows"
    r"|double-curly-loop|curly-loop|wavy-dash|heavy-check-mark|white-heavy-check-mark|check-mark|cross-mark|splatter"
    r"|fontsize|keycap|pound-symbol|contact|document|note|notepad|reminder|diamondshapewithdotinside|black(rosette|waving))$")
UI = re.compile(r"^empty|page|^document(?!$)|^blacktouchtone|^whitetouchtone|^blackhardshell|^whitehardshell|softshellfloppy"
                r"|^blackmissing|^compression$|^onebutton|^twobutton|^threebutton|^threenetworked|^antennawith"
                r"|^lightningmood|^moodbubble|^(left|right)anger|^two.*bubble|^three.*bubble|^framewith(tiles|x)"
                r"|^speaker(with1|cancel)|^rightspeaker|^contact2|^faxicon|^printericon|^opticaldiscicon|^floppydisk2"
                r"|^telephonereceiver2|^radiobutton|^cardindexdividers|^envelope(down|with)|^backofenvelope"
                r"|^stampedenvelope|^penover|^clock.*clock$")
CLOCKS_KEPT = {"one-oclock", "four-oclock", "seven-thirty", "ten-thirty",
               "clock1oclock", "clock4oclock", "clock1thirty", "clock3thirty"}


def drop_reason(style, name, category, group):
    if TONE.search(name):
        return "skin tone"
    if style.startswith("fluent") and TONE_FLUENT.search(name) and group is None:
        return "skin tone"
    if name in FLAG_KEEP:
        return None
    if category == "Flags" or name in COUNTRIES or FLAG.search(name) or (group or "").endswith("flag"):
        return "flag"
    if re.search(r"oclock|-thirty$|thirty$", name):
        return None if name in CLOCKS_KEPT else "clock face"
    if group in GLYPH_GROUPS or GLYPH_NAMES.search(name) or category == "Modifiers":
        return "letter, arrow or other glyph"
    if style == "fxemoji" and UI.search(name):
        return "interface icon"
    if "facing-right" in name:
        return "mirror image"
    return None


# ---------------------------------------------------------------- subjects
ALIAS = {}


def alias(to, *names):
    for n in names:
        ALIAS[n] = to


# People, in every style: the gender does not make another subject.
alias("person", "man", "woman", "adult", "person-bald", "person-beard", "person-blond-hair", "person-blonde-hair",
      "person-curly-hair", "person-red-hair", "person-white-hair", "blond-haired-person", "blonde", "guapimao", "bearded-person")
alias("older-person", "old-man", "old-woman", "older-man", "older-woman", "old-person")
alias("child", "boy", "girl")
alias("royalty", "prince", "princess", "person-with-crown")
alias("santa-claus", "mrs-claus", "mx-claus", "fatherchristmas")
alias("pregnant-person", "pregnant-man", "pregnant-woman")
alias("feeding-baby", "breast-feeding", "person-feeding-baby")
alias("bride-with-veil", "person-with-veil", "bride")
alias("deaf-person", "deaf-man", "deaf-woman", "person-deaf")
alias("merperson", "mermaid", "merman", "person-merpeople")
alias("dancer", "person-dancing", "ballet-dancer")
alias("person-with-skullcap", "person-with-chinese-cap")
alias("people-holding-hands", "two-men-holding-hands", "two-women-holding-hands", "people-holding-hands", "guyguy",
      "girlgirl", "girlguy", "man-and-woman-holding-hands", "woman-and-man-holding-hands", "men-holding-hands",
      "women-holding-hands")
alias("people-with-bunny-ears", "person-with-bunny-ears", "bunny-ears")
alias("people-wrestling", "person-wrestling")
alias("busts-in-silhouette", "bust-in-silhouette")
alias("snowman", "snowman-without-snow", "snowmanwithoutsnow")
alias("snowboarder", "person-snowboarding")
alias("weary-cat", "weary-cat-face")
# Old names and near-twins.
for c in "red orange yellow green light-blue blue purple brown black white grey pink".split():
    alias("heart", c + "-heart")
    alias("book", c + "-book")
alias("heart", "heart-suit", "heart-decoration", "heartblue", "heartgreen", "heartpurple", "heartyellow", "redheart",
      "heartdecoration", "heartlefttip", "blackheartsuit", "heavy-black-heart", "pink-heart", "heart-exclamation",
      "heavy-heart-exclamation")
alias("sparkling-heart", "beating-heart", "growing-heart", "growingheart", "two-hearts", "2hearts", "revolving-hearts",
      "revolvinghearts", "heart-with-arrow", "heartarrow", "heart-with-ribbon", "heartribbon", "mending-heart", "heart-on-fire",
      "sparklingheart")
alias("broken-heart", "brokenheart")
alias("book", "closed-book", "open-book", "books", "closedbook", "openbook", "bluebook", "greenbook", "orangebook", "notebook",
      "notebook-with-decorative-cover", "notebookdecorativecover", "ledger")
alias("clock-face", *CLOCKS_KEPT)
alias("globe", "globe-showing-americas", "globe-showing-asia-australia", "globe-showing-europe-africa",
      "globe-with-meridians", "americasglobe", "asiaaustraliaglobe", "europeafricaglobe", "meridianglobe")
alias("moon", "full-moon", "new-moon", "crescent-moon", "first-quarter-moon", "last-quarter-moon", "waning-crescent-moon",
      "waxing-crescent-moon", "waning-gibbous-moon", "waxing-gibbous-moon", "fullmoon", "newmoon", "crescentmoon",
      "firstquartermoon", "lastquartermoon", "waningcrescentmoon", "waxingcrescentmoon", "waxinggibbousmoon",
      "waningbibbousmoon", "full-moon-face", "new-moon-face", "first-quarter-moon-face", "last-quarter-moon-face",
      "fullmoonwithface", "newmoonwithface", "firstquartermoonface", "lastquartermoonface")
alias("sun", "sun-with-face", "sunwithface", "whitesun", "sunrays")
alias("sun-behind-cloud", "sun-behind-large-cloud", "sun-behind-small-cloud", "sun-behind-rain-cloud", "sunbehindcloud",
      "sunraincloud", "whitesunbehindcloud", "whitesunsmallcloud")
alias("cloud-with-rain", "raincloud", "cloud-with-lightning-and-rain", "cloud-with-lightning", "stormcloud",
      "cloud-with-snow", "snowcloud")
alias("hourglass", "hourglass-done", "hourglass-not-done", "hourglassflowingsand")
alias("mailbox", "closed-mailbox-with-lowered-flag", "closed-mailbox-with-raised-flag", "open-mailbox-with-lowered-flag",
      "open-mailbox-with-raised-flag", "closedmailboxlowered", "closedmailboxraised", "openmailboxlowered",
      "openmailboxraised")
alias("banknote", "dollar-banknote", "euro-banknote", "pound-banknote", "yen-banknote", "banknotedollar", "banknoteeuro",
      "banknotepound", "banknoteyen", "money-with-wings", "moneywithwings")
alias("speaker", "speaker-high-volume", "speaker-low-volume", "speaker-medium-volume", "muted-speaker", "speaker3soundwaves",
      "speakeronesoundwave")
alias("magnifying-glass", "magnifying-glass-tilted-left", "magnifying-glass-tilted-right", "leftmagnifyingglass",
      "rightmagnifyingglass")
alias("locked", "unlocked", "locked-with-key", "locked-with-pen", "lock", "lockandkey", "lockwithinkpen", "openlock")
alias("bell", "bell-with-slash", "bellcancellation", "ringingbell")
alias("droplet", "blackdroplet")
alias("bird", "black-bird")
alias("rice-ball", "riceball")
alias("umbrella", "umbrella-with-rain-drops", "closed-umbrella", "umbrellawithraindrops", "blackumbrella")
alias("file-folder", "open-file-folder", "filefolder", "openfilefolder", "folder", "openfolder", "blackfolder")
alias("1st-place-medal", "2nd-place-medal", "3rd-place-medal", "sports-medal", "sportsmedal")
alias("optical-disk", "dvd", "opticaldisc", "computer-disk", "minidisc")
alias("backhand-index-pointing", "backhand-index-pointing-up", "backhand-index-pointing-down",
      "backhand-index-pointing-left", "backhand-index-pointing-right", "index-pointing-up",
      "sidewaysdownpointingindex", "sidewaysleftpointingindex", "sidewaysrightpointingindex", "sidewaysuppointingindex")
alias("thumb", "thumbs-up", "thumbs-down", "leftwards-thumb-sign", "rightwards-thumb-sign", "thumbsup", "thumbsdown",
      "reversethumbsup", "reversethumbsdown")
alias("fist", "raised-fist", "oncoming-fist", "left-facing-fist", "right-facing-fist", "raisedfist", "fistedhand")
alias("raised-hand", "hand-with-fingers-splayed", "raised-back-of-hand", "raisedhandpartfingers", "raisedhandsfingerssplayed",
      "reverseraisedhandsfingerssplayed", "hand")
alias("palm-hand", "leftwards-hand", "rightwards-hand", "palm-down-hand", "palm-up-hand", "leftwards-pushing-hand",
      "rightwards-pushing-hand")
alias("victory-hand", "victoryhand", "reversevictoryhand")
alias("cat", "cat-face", "black-cat", "catside")
alias("dog", "dog-face", "guide-dog", "service-dog", "dogside")
alias("rabbit", "rabbit-face", "bunny", "bunnyside")
alias("camel", "two-hump-camel", "bactriancamel", "dromedarycamel")
alias("chick", "baby-chick", "hatching-chick", "front-facing-baby-chick", "babychick", "hatchingchick", "frontfacingchick")
alias("dragon", "dragon-face", "dragonhead", "dragonside")
alias("whale", "spouting-whale", "spurtingwhale")
alias("sheep", "ewe", "ram")
alias("rat", "mouse", "mouse-face", "mouseside")
alias("mobile-phone", "mobile-phone-with-arrow", "cellphone", "mobile-phone-off", "mobilephoneoff", "vibration-mode",
      "vibrationmode", "no-mobile-phones", "nomobilephones", "phonerightarrowleft")
alias("bus", "oncoming-bus", "oncomingbus")
alias("automobile", "oncoming-automobile", "oncomingautomobile")
alias("taxi", "oncoming-taxi", "oncomingtaxi")
alias("police-car", "oncoming-police-car", "oncomingpolicecar", "policecar")
alias("high-speed-train", "bullet-train", "highspeedtrain", "highspeedtrainbulletnose")
alias("clinking-glasses", "champagne-glass")
alias("wine-glass", "red-wine-glass", "white-wine-glass", "wineglass")
alias("shopping-bags", "shopping-bag")
alias("chart", "chart-increasing", "chart-decreasing", "chart-increasing-with-yen", "bar-chart", "barchart",
      "chartdownwardstrend", "chartupwardstrend", "chartupwardstrendyen", "stockchart")
alias("e-mail", "envelope", "incoming-envelope", "envelope-with-arrow", "email", "incomingenvelope", "flyingenvelope")
alias("inbox-tray", "outbox-tray", "inboxtray", "outbox")
alias("paperclip", "linked-paperclips", "linkedpaperclips")
alias("person-in-bed", "sleeping-accommodation")
alias("person-biking", "person-mountain-biking", "bicyclist")
alias("person-bathing", "person-taking-bath", "bath")
alias("house", "house-with-garden", "houses", "housebuilding", "housebuildings", "housewithgarden")
alias("hamster", "hampster")
alias("toilet", "water-closet", "watercloset")
alias("video-camera", "handheldvideocamera", "movie-camera", "moviecamera")
alias("camera", "camera-with-flash", "camerawithflash")
alias("calendar", "tear-off-calendar", "tearoffcalendar", "spiral-calendar", "spiralcalendarpad")
alias("musical-note", "musical-notes", "musicalnote", "multiplemusicalnotes", "musicascend", "musicdescend")
alias("star", "glowing-star", "whitemediumstar", "whitestar")
alias("speech-balloon", "left-speech-bubble", "right-anger-bubble", "speechbubble", "leftspeechbubble", "rightspeechbubble")
alias("thought-balloon", "thoughtbaloon", "leftthoughtbubble", "rightthoughtbubble")
alias("pear", "pears")
alias("spiral-shell", "shell")
alias("pine-tree", "evergreen-tree", "evergreen")
alias("running-shoe", "athletic-shoe")
alias("skull", "skull-and-crossbones", "blackskullcrossbones")
# fxemoji's own words (it is never trained on; this only makes more sets "one subject over the styles").
for pair in """
admissiontickets=admission-tickets aerialtramway=aerial-tramway alarmclock=alarm-clock alienmonster=alien-monster
americanfootball=american-football artistpalette=artist-palette aubergine=eggplant automatedtellermachine=atm-sign
babyangel=baby-angel babybottle=baby-bottle babysymbol=baby-symbol ballotboxwithcheck=ballot-box-with-ballot
barberpole=barber-pole basketballandhoop=basketball beachumbrella=umbrella-on-ground beermug=beer-mug
clinkingbeermugs=clinking-beer-mugs bentobox=bento-box billiards=pool-8-ball birthdaycake=birthday-cake
blackclubsuit=club-suit blackdiamondsuit=diamond-suit blackspadesuit=spade-suit blacknib=black-nib
blackpushpin=pushpin roundpushpin=pushpin round-pushpin=pushpin blackscissors=scissors blacktelephone=telephone
telephoneonmodem=telephone bookmarktab=bookmark-tabs boot=womans-boot womens-boot=womans-boot bouquetofflowers=bouquet
bow=ribbon bowing=person-bowing bridgeatnight=bridge-at-night bullhorn=loudspeaker bullhornwithsoundwaves=megaphone
busstop=bus-stop carouselhorse=carousel-horse carpstreamer=carp-streamer cherryblossom=cherry-blossom
chilipepper=hot-pepper chocolatebar=chocolate-bar christmastree=christmas-tree circustent=circus-tent
cityscapeatdusk=cityscape-at-dusk clamshellmobile=mobile-phone clap=clapping-hands clapperboard=clapper-board
classicalbuilding=classical-building closedmailbox=mailbox cocktailglass=cocktail-glass
coldsweat=anxious-face-with-sweat confetti=confetti-ball confounded=confounded-face confused=confused-face
construct=building-construction constructionsign=construction controlknob=control-knobs
conveniencestore=convenience-store cookedrice=cooked-rice cop=police-officer couple=people-holding-hands
couplekiss=kiss cowface=cow creditcard=credit-card crying=crying-face crystalball=crystal-ball
currencyexchange=currency-exchange curryandrice=curry-rice daggerknife=dagger darksunglasses=sunglasses
dash=dashing-away deciduoustree=deciduous-tree deliverytruck=delivery-truck departmentstore=department-store
desertisland=desert-island desktopcomputer=desktop-computer oldpersonalcomputer=desktop-computer
personalcomputer=laptop devilhorns=sign-of-the-horns directhit=bullseye direct-hit=bullseye
disappointed=disappointed-face dissapointedrelief=sad-but-relieved-face 
 donotlittersymbol=no-littering doveofpeace=dove earofmaize=ear-of-corn
earofrice=sheaf-of-rice electricplug=electric-plug electrictorch=flashlight europeancastle=castle
europeanpostoffice=post-office expressionless=expressionless-face fallingleaf=fallen-leaf faxmachine=fax-machine
fearful=fearful-face ferriswheel=ferris-wheel filecabinet=file-cabinet filmframes=film-frames
filmprojector=film-projector fireengine=fire-engine fireworksparkler=sparkler fishcakeswirl=fish-cake-with-swirl
fishingpoleandfish=fishing-pole flaginhole=flag-in-hole flexbicep=flexed-biceps
flowerplayingcards=flower-playing-cards flushed=flushed-face forkandknife=fork-and-knife
forkknife=fork-and-knife-with-plate fourleafclover=four-leaf-clover foxcrying=crying-cat
foxgrin=grinning-cat-with-smiling-eyes foxheart=smiling-cat-with-heart-eyes foxkissing=kissing-cat
foxpouting=pouting-cat foxsmiling=grinning-cat foxtearofjoy=cat-with-tears-of-joy foxweary=weary-cat
foxwry=cat-with-wry-smile framewithpicture=framed-picture frenchfries=french-fries friedshrimp=fried-shrimp
frown=slightly-frowning-face frownmouth=frowning-face-with-open-mouth fuelpump=fuel-pump gamedie=game-die
game-dice=game-die gem=gem-stone golfer=person-golfing graduationcap=graduation-cap greenapple=green-apple
redapple=red-apple grimacing=grimacing-face grin=grinning-face grineyes=grinning-face-with-smiling-eyes
grinsquint=grinning-squinting-face grinsweat=grinning-face-with-sweat grintears=face-with-tears-of-joy
grinwide=grinning-face-with-big-eyes grinwideeyes=beaming-face-with-smiling-eyes guardsman=guard
haircut=person-getting-haircut halo=smiling-face-with-halo hands=raising-hands handup=person-raising-hand
harddisk=computer-disk headmassage=person-getting-massage hearteyes=smiling-face-with-heart-eyes
heels=high-heeled-shoe high5=folded-hands highbrightness=bright-sun hocho=kitchen-knife honeypot=honey-pot
horizontaltrafficlight=horizontal-traffic-light horseface=horse horseracing=horse-racing hotbeverage=hot-beverage
hotsprings=hot-springs hushed=hushed-face icecream=ice-cream imp=angry-face-with-horns
izakayalantern=red-paper-lantern jackolantern=jack-o-lantern japaneseangrymask=ogre japanesecastle=japanese-castle
japanesedolls=japanese-dolls japanesepostoffice=japanese-post-office
japanesesymbolforbeginner=japanese-symbol-for-beginner keyboardandmouse=keyboard wiredkeyboard=keyboard
kissclosedeyes=kissing-face-with-closed-eyes kisseyes=kissing-face-with-smiling-eyes kissing=face-blowing-a-kiss
kissmark=kiss-mark ladybeetle=lady-beetle lastquarter=moon leaffluttering=leaf-fluttering-in-wind
leftluggage=left-luggage lefthandphone=telephone-receiver righthandphone=telephone-receiver
telephonereceiver2=telephone-receiver leftwritinghand=writing-hand leopardside=leopard levelslider=level-slider
lightbulb=light-bulb lightrail=light-rail lips=mouth loudlycrying=loudly-crying-face lovehotel=love-hotel
loveletter=love-letter lowerleftcrayon=crayon lowerleftfountainpen=fountain-pen lowerleftpaintbrush=paintbrush
lowerleftpen=pen lowerleftpencil=pencil mahjong=mahjong-red-dragon makeupbag=clutch-bag
maninbusinesssuitlevitating=person-in-suit-levitating manltepiececlock=mantelpiece-clock mansshirt=t-shirt
mapleleaf=maple-leaf meatonbone=meat-on-bone medicalmask=face-with-medical-mask mensrunner=running-shoe
mensshoe=mans-shoe militarymedal=military-medal milkyway=milky-way mobilephone=mobile-phone moneybag=money-bag
monkeyface=monkey monkeyhear=hear-no-evil-monkey monkeysee=see-no-evil-monkey monkeyspeak=speak-no-evil-monkey
moonviewingceremony=moon-viewing-ceremony mountaincableway=mountain-cableway mountainrailway=mountain-railway
mountfuji=mount-fuji moyai=moai musicalkeyboard=musical-keyboard musicalscore=musical-score nailpolish=nail-polish
namebadge=name-badge nationalpark=national-park neutral=neutral-face nightwithstars=night-with-stars
nobicycles=no-bicycles noentry=no-entry noentrysign=prohibited nogesture=person-gesturing-no
okgesture=person-gesturing-ok nomouth=face-without-mouth nonpotablewatersymbol=non-potable-water
nooneunder18symbol=no-one-under-eighteen nopedestrians=no-pedestrians nosmokingsymbol=no-smoking
nutandbolt=nut-and-bolt officebuilding=office-building oldkey=old-key aok=ok-hand turnedokhand=ok-hand
openmouth=face-with-open-mouth palmtree=palm-tree pandaface=panda partypopper=party-popper
passportcontrol=passport-control pawprints=paw-prints pensive=pensive-face performingarts=performing-arts
perservere=persevering-face pigside=pig pigsnout=pig-nose pinedecoration=pine-decoration pinkwallet=purse
playingcardblackjoker=joker policecarsrevolvinglight=police-car-light poo=pile-of-poo portablestereo=radio
postalhorn=postal-horn potablewatersystem=potable-water potoffood=pot-of-food poultryleg=poultry-leg
pout=person-pouting pouting=pouting-face enraged-face=pouting-face pray=folded-hands present=wrapped-gift
putlitterinitsplacesymbol=litter-in-bin-sign racecar=racing-car railwaycar=railway-car
recreationalvehicle=sport-utility-vehicle relieved=relieved-face reversehandmiddlefinger=middle-finger
ricecracker=rice-cracker roastedsweetpotato=roasted-sweet-potato rolledupnewspaper=rolled-up-newspaper
rollercoaster=roller-coaster rowboat=person-rowing-boat rugbyfootball=rugby-football running=person-running
runningshirt=running-shirt sakebottleandcup=sake sandals=womans-sandal satelliteantenna=satellite-antenna
schoolsatchel=backpack school-backpack=backpack screamfear=face-screaming-in-fear shavedice=shaved-ice
shootingstar=shooting-star silhouetteohjapan=map-of-japan skiandskiboot=skis sleeping=sleeping-face sleepy=sleepy-face
sleuthspy=detective sliceofpizza=pizza slotmachine=slot-machine smallfrown=frowning-face
smallsmile=slightly-smiling-face smileeyes=smiling-face-with-smiling-eyes smiletongue=face-with-tongue
smirk=smirking-face smokingsymbol=cigarette snowmountains=snow-capped-mountain soccerball=soccer-ball
softicecream=soft-ice-cream speakingheadinsilhouette=speaking-head spiderweb=spider-web spiralnotepad=spiral-notepad
spiralshell=spiral-shell statueofliberty=statue-of-liberty steamingbowl=steaming-bowl steamlocomotive=locomotive
straightruler=straight-ruler studiomic=studio-microphone sunriseovermountains=sunrise-over-mountains
sunsetoverbuildings=sunset surfer=person-surfing suspensionrailway=suspension-railway sweat=downcast-face-with-sweat
sweatsplash=sweat-droplets swimming=person-swimming tanabatatree=tanabata-tree tapecartridge=tape-cartridge
teacupwithouthandle=teacup-without-handle tennisball=tennis tired=tired-face tongueout=face-with-tongue
tongueoutwink=winking-face-with-tongue tongueoutwink2=squinting-face-with-tongue tophat=top-hat toykotower=tokyo-tower
triangularruler=triangular-ruler triumph=face-with-steam-from-nose tramcar=tram-car tropicaldrink=tropical-drink
tropicalfish=tropical-fish turban=person-wearing-turban unamused=unamused-face
verticaltrafficlight=vertical-traffic-light videocasette=videocassette videogame=video-game
waitress=person-tipping-hand walking=person-walking warningsign=warning waterbuffalo=water-buffalo wave=water-wave
waving=waving-hand weary=weary-face weightlifter=person-lifting-weights wheelchairsymbol=wheelchair-symbol
whiteflower=white-flower whitesmilingface=smiling-face windchime=wind-chime winking=winking-face wolfface=wolf
womanshat=womans-hat womens-hat=womans-hat womansshirt=womans-clothes womens-clothes=womans-clothes
womens-sandal=womans-sandal mens-shoe=mans-shoe worldmap=world-map worried=worried-face tigerside=tiger
anger=anger-symbol angry=angry-face anguish=anguished-face astonished=astonished-face tropicalfish=tropical-fish
kiss=kiss-mark bolt=high-voltage articulatedlorry=articulated-lorry anxious-face=anxious-face-with-sweat
frowning-person=person-frowning robot-face=robot lion-face=lion unicorn-face=unicorn clown=clown-face squared-cl=cl
camera-flash=camera amazed-face=astonished-face determined-face=persevering-face amusing-face=grinning-face
amused-face=grinning-face wolf-face=wolf cat-face-with-tears-of-joy=cat-with-tears-of-joy
cat-face-with-wry-smile=cat-with-wry-smile crying-cat-face=crying-cat grinning-cat-face=grinning-cat
grinning-cat-face-with-smiling-eyes=grinning-cat-with-smiling-eyes kissing-cat-face=kissing-cat
pouting-cat-face=pouting-cat smiling-cat-face-with-heart-eyes=smiling-cat-with-heart-eyes
man-in-business-suit-levitating=person-in-suit-levitating gesturing-ok=person-gesturing-ok mans-shirt=t-shirt
mobile-phone-off=mobile-phone police-cars-revolving-light=police-car-light smiling-face-with-open-hands=hugging-face
bath=person-bathing weary-cat-face=weary-cat poop=pile-of-poo locked-with-key=locked mouse-face=rat tiger-face=tiger
horse-face=horse cow-face=cow pig-face=pig monkey-face=monkey ewe=sheep tram-car=tram
""".split():
    ALIAS.setdefault(*pair.split("="))
alias("zany-face", "crazy-face")
alias("phoenix", "phoenix-bird")
alias("mushroom", "brown-mushroom")
alias("lemon", "lime")
alias("butterfly", "monarch-butterfly")
alias("snow-capped-mountain", "mountain", "mount-fuji")
alias("cityscape", "cityscape-at-dusk")
alias("fork-and-knife", "fork-and-knife-with-plate")
alias("cricket-game", "cricket-bat")
alias("pinata", "piata")
alias("laptop", "laptop-computer")
alias("necktie", "tie")
alias("dizzy-face", "knocked-out-face", "face-with-crossed-out-eyes", "dizzyface")


def squeeze(name):
    return name.replace("-", "")


def subject_of(style, name, known):
    """The subject of a drawing. `known`: squeezed standard name -> standard name, for styles that write names together."""
    n = name
    if style == "streamline":
        n = re.sub(r"-\d$", "", n)
    for _ in range(4):  # aliases, genders and old names may follow each other
        before = n
        n = ALIAS.get(n, n)
        n = re.sub(r"^family-.*|^family$", "family", n)
        n = re.sub(r"^couple-with-heart-.*", "couple-with-heart", n)
        n = re.sub(r"^kiss-.*(man)$", "kiss", n)
        m = re.match(r"(man|woman|person|men|women|people|deaf)-(.+)", n)
        if m and n not in ("person-with-skullcap",):
            rest = m.group(2)
            if rest in ROLES:
                n = rest
            elif m.group(1) in ("man", "woman"):
                n = "person-" + rest
            elif m.group(1) in ("men", "women"):
                n = "people-" + rest
        n = ALIAS.get(n, n)
        if n != "dizzy-face" and squeeze(n) not in known and squeeze(n[:-5]) in known and n.endswith("-face"):
            n = n[:-5]
        if squeeze(n) in known:
            n = known[squeeze(n)]
            n = ALIAS.get(n, n)
        if n == before:
            break
    return n


ROLES = set("""artist astronaut construction-worker cook detective elf factory-worker fairy farmer firefighter genie guard
health-worker judge mage mechanic office-worker pilot police-officer scientist singer student superhero supervillain
teacher technologist vampire zombie""".split())
