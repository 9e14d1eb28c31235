"""The plots: events in the small world, and ways to tell them.

A plot is a list of paragraphs, a paragraph a list of beats, and a beat a tuple of
alternative wordings. Slots in braces name the cast of `stories`; slots such as
`{hero.his}` are pronouns. An empty wording leaves the beat out.
"""

from __future__ import annotations

Beat = tuple[str, ...]
Plot = tuple[tuple[Beat, ...], ...]

OPENINGS: tuple[Beat, ...] = (
    (
        "Once upon a time, there was {hero.introduced}.",
        "Once upon a time, {hero.introduced} lived {home}.",
        "Once there was {hero.introduced} who lived {home}.",
        "Long ago, {hero.introduced} lived {home}.",
        "There was once {hero.introduced}.",
        "Once upon a time, there lived {hero.introduced} {home}.",
    ),
    (
        "",
        "{hero} loved to play near {place}.",
        "Every day, {hero} went to {place} with {hero.his} {elder}.",
        "{hero.He} liked {food} more than anything else.",
        "{hero.He} lived with {hero.his} {elder}, who was very kind.",
        "Everybody knew {hero}, because {hero.he} always said hello.",
    ),
)

LOST: Plot = (
    (
        (
            "{hero} had {thing.a} that {hero.he} took everywhere.",
            "{hero.His} favorite thing was {thing.a}.",
            "{hero.His} {elder} had given {hero.him} {thing.a}.",
        ),
        (
            "{when}, {hero} went to {place}, and the {thing} was gone.",
            "{when}, {hero} looked for the {thing}, but it was not there.",
            "{when}, {hero} came home from {place} without the {thing}.",
        ),
        (
            '"Oh no! Where is my {thing}?" cried {hero}.',
            "{hero} was very sad and began to cry.",
            '"I have lost my {thing}," {hero.he} said in a small voice.',
        ),
    ),
    (
        (
            "{friend.Introduced} heard {hero.him} and came closer.",
            "Then {hero.he} met {friend.introduced}.",
            "Just then, {friend.introduced} came by.",
        ),
        (
            '"Do not be sad," said {friend}. "I will help you look."',
            '"Let us look for it together," said {friend}.',
            '"Where did you see it last?" asked {friend}. "Near {place}," said {hero}.',
        ),
        (
            "They looked {spot}, but they found nothing.",
            "First they looked {spot}. It was not there.",
            "They searched and searched, {spot} and all around.",
        ),
        (
            "Then {friend} looked {other_spot}, and there was the {thing}!",
            "At last {friend} found the {thing} {other_spot}.",
            "At last {hero} saw something {other_spot}. It was the {thing}!",
        ),
    ),
    (
        (
            (
                '"Thank you, {friend}!" said {hero}, '
                "and {hero.he} gave {friend.him} a hug."
            ),
            "{hero} was so happy that {hero.he} danced around {friend}.",
            '"You are a true friend," said {hero}.',
        ),
        (
            "From then on, {hero} took good care of the {thing}.",
            "After that, {hero} always let {friend} play with the {thing}, too.",
            "Then they played with the {thing} until it was dark.",
        ),
    ),
)

FOUND: Plot = (
    (
        (
            "{when}, {hero} found {thing.a} {spot}.",
            "{when}, {hero} walked to {place} and saw {thing.a} {spot}.",
            "{when}, something lay {spot}. It was {thing.a}.",
        ),
        (
            '"How pretty!" said {hero}. "I want to keep it."',
            "{hero} picked it up and looked at it for a long time.",
            "{hero.He} had never seen such a thing before.",
        ),
        (
            "But then {hero.he} thought that somebody might miss it.",
            '"Somebody must have lost it," {hero.he} thought.',
            "But {hero.his} {elder} said that it belonged to somebody else.",
        ),
    ),
    (
        (
            "So {hero} went to {other_place} and asked everyone.",
            (
                "So {hero} asked the {stranger}, "
                "but it was not {stranger.his} {thing.noun}."
            ),
            "{hero} went from door to door with the {thing}.",
        ),
        (
            "Near {place} sat {friend.introduced}, who looked very sad.",
            "At last {hero.he} met {friend.introduced}, who was crying.",
            "Then {hero.he} heard {sound}. It was {friend.introduced}.",
        ),
        (
            '"I have lost my {thing}," said {friend}.',
            '"What is wrong?" asked {hero}. "My {thing} is gone," said {friend}.',
        ),
        (
            '"Here it is!" said {hero}, and gave it back.',
            '"Is this yours?" asked {hero}, and held up the {thing}.',
        ),
    ),
    (
        (
            "{friend} jumped for joy and thanked {hero} again and again.",
            "{friend} smiled the biggest smile in the world.",
            '"Oh, thank you! You are so honest," said {friend}.',
        ),
        (
            "To say thank you, {friend} gave {hero} {gift.a}.",
            "Then {friend} shared some {food} with {hero}.",
            "Giving it back felt better than keeping it.",
        ),
    ),
)

WISH: Plot = (
    (
        (
            "More than anything, {hero} wished for {thing.a}.",
            "{hero} wanted {thing.a}, but {hero.he} had no money.",
            "{when}, {hero} saw {thing.a} at {place} and wished to have it.",
        ),
        (
            '"You must earn it," said {hero.his} {elder}.',
            '"If you work hard, you can buy it," said {hero.his} {elder}.',
            "{hero.His} {elder} told {hero.him} to ask the {stranger} for work.",
        ),
    ),
    (
        (
            'So {hero} went to the {stranger} and asked, "Can I help you?"',
            "So every morning, {hero} helped the {stranger}.",
            "The {stranger} needed help, and {hero} was glad to work.",
        ),
        (
            "{hero.He} carried water, swept the floor and fed the hens.",
            "{hero.He} picked apples until {hero.his} arms were tired.",
            "The work was hard, but {hero.he} did not give up.",
        ),
        (
            "After a week, the {stranger} gave {hero} three coins.",
            "When the work was done, the {stranger} was very pleased.",
            '"You have worked well," said the {stranger}.',
        ),
    ),
    (
        (
            "Now {hero} could have the {thing} at last.",
            "The {stranger} gave {hero.him} the {thing} as a reward.",
            "{hero} ran and bought the {thing}.",
        ),
        (
            "On the way home {hero.he} met {friend.introduced}, and they shared it.",
            "{hero.He} showed it to {friend}, {hero.his} best friend, with pride.",
            "{hero} was proud, because {hero.he} had earned it.",
        ),
    ),
)

FEAR: Plot = (
    (
        (
            "{hero} was afraid of {fear}.",
            "There was one thing {hero} did not like, and that was {fear}.",
            "{hero} was not afraid of much, only of {fear}.",
        ),
        (
            "The others laughed, and that made {hero.him} sad.",
            '"Everybody is afraid of something," said {hero.his} {elder}.',
            "{hero.He} never told anyone about it.",
        ),
    ),
    (
        (
            "{when}, {hero} heard {sound} near {place}.",
            "{when}, {hero} was at {place} when {hero.he} heard {sound}.",
        ),
        (
            "It was {friend.introduced}, who was stuck {spot}.",
            "{friend.Introduced} was stuck {spot} and could not get out.",
        ),
        (
            '"Help me, please!" called {friend}.',
            '"I cannot get out!" cried {friend}.',
        ),
        (
            "{hero} thought of {fear} and wanted to run away.",
            "{hero.His} knees shook, because {hero.he} thought of {fear}.",
        ),
        (
            "But {hero.he} took a deep breath and went to help.",
            "But {friend} needed {hero.him}, so {hero.he} was brave.",
        ),
        (
            "{hero} pulled and pulled until {friend} was free.",
            "With a long stick, {hero.he} helped {friend} out.",
        ),
    ),
    (
        (
            '"You are so brave!" said {friend}.',
            '"You saved me," said {friend}, and hugged {hero.him}.',
        ),
        (
            "After that, {hero} was not afraid of {fear} anymore.",
            "{hero} learned that being brave means helping even when you are afraid.",
            "{hero.His} {elder} was very proud of {hero.him}.",
        ),
    ),
)

LEARN: Plot = (
    (
        (
            "{hero} wanted to learn to {skill}.",
            "All the others could {skill}, but {hero} could not.",
            "{when}, {hero} saw how {friend.introduced} could {skill}.",
        ),
        (
            '"I want to {skill}, too," said {hero}.',
            "{hero.He} tried it at once, but it was too hard.",
            '"It is not easy," said {hero.his} {elder}, "but you can do it."',
        ),
    ),
    (
        (
            "The first day, {hero} fell down and hurt {hero.his} leg.",
            "The first time, it did not work at all.",
            "{hero} tried once, twice, three times, and failed.",
        ),
        (
            '"I will never learn it!" {hero.he} cried.',
            "{hero} was angry and wanted to give up.",
        ),
        (
            '"Try again," said {hero.his} friend {friend}. "I will show you how."',
            'But {hero.his} friend {friend} said, "I needed many days, too."',
        ),
        (
            "So {hero} practiced every day at {place}.",
            "So they went to {place} every morning and practiced.",
            "Day after day, {hero} practiced near {other_place}.",
        ),
    ),
    (
        (
            "And one day, {hero} could {skill}!",
            "After a week, {hero.he} could {skill} as well as {friend}.",
            "Then, all of a sudden, it worked. {hero} could {skill}!",
        ),
        (
            '"I did it!" {hero.he} shouted.',
            "{friend} clapped and cheered.",
            "{hero.His} {elder} was very proud.",
        ),
        (
            "{hero} had learned never to give up.",
            "Now {hero.he} teaches others to {skill}.",
            "",
        ),
    ),
)

SHARE: Plot = (
    (
        (
            "{when}, {hero.his} {elder} made {food}.",
            "{when}, the {stranger} gave {hero} some {food}.",
            "{when}, {hero} had some {food} for lunch.",
        ),
        (
            "It smelled so good that {hero} could not wait.",
            '"I will eat it all by myself," thought {hero}.',
            "{hero} took it to {place} to eat it there.",
        ),
    ),
    (
        (
            "At {place} {hero.he} met {friend.introduced}.",
            "But there sat {friend.introduced}, all alone.",
            "Then {friend.introduced} came along.",
        ),
        (
            '"I am so hungry," said {friend}. "I have not eaten all day."',
            "{friend} looked at the food with big eyes.",
            '"May I have a little?" asked {friend}.',
        ),
        (
            "{hero} thought about it for a moment.",
            "At first {hero} did not want to share.",
            "{hero} saw how thin {friend} was.",
        ),
        (
            'Then {hero.he} said, "There is enough for both of us."',
            "Then {hero.he} broke it in two and gave {friend} one half.",
        ),
    ),
    (
        (
            "They ate together and told each other funny stories.",
            "It tasted much better together.",
        ),
        (
            "The next day, {friend} brought {hero} {gift.a}.",
            "Later, {friend} showed {hero} a secret place {spot}.",
            '"You have a good heart," said {friend}.',
        ),
        (
            "{hero} learned that sharing makes everyone happy.",
            "",
        ),
    ),
)

BUILD: Plot = (
    (
        (
            "{when}, {hero} wanted to build {build}.",
            '"I am going to build {build}," said {hero} one day.',
        ),
        (
            "{hero.He} went to {place} and began to work.",
            "{hero.He} took some wood, a rope and {thing.a}.",
            '"That is a big job," said {hero.his} {elder}.',
        ),
    ),
    (
        (
            "But it was too much work for one.",
            "But again and again it fell apart.",
            "After an hour {hero} was very tired.",
        ),
        (
            "{friend.Introduced} was watching {hero.him}.",
            "Then {friend.introduced} came by and stopped to look.",
        ),
        (
            '"Can I help you?" asked {friend}.',
            '"Two can do more than one," said {friend}.',
        ),
        (
            "First {hero} said no, but then {hero.he} nodded.",
            '"Yes, please!" said {hero}.',
        ),
        (
            "{friend} held it, and {hero} tied it with a rope.",
            "They worked side by side all day long.",
            "{friend} had good ideas, and {hero} had strong arms.",
        ),
    ),
    (
        (
            "In the evening it was done. It was wonderful!",
            "When the sun went down, it was ready.",
        ),
        (
            "They put {gift.a} on top and were very proud.",
            "Everybody came from {other_place} to see it.",
            "{hero.His} {elder} brought them {food}.",
        ),
        (
            '"We did it together," said {hero}.',
            "Together they could do anything.",
        ),
    ),
)

CONTEST: Plot = (
    (
        (
            "{when}, there was a {contest} at {place}.",
            "Every year there was a {contest} at {place}.",
        ),
        (
            "The winner would get {thing.a}.",
            "{hero} wanted to win {thing.a}, the first prize.",
        ),
        (
            "{friend.Introduced} wanted to win, too.",
            "Everybody said that {friend.introduced} would win.",
        ),
    ),
    (
        (
            "When it began, {friend} was the best of all.",
            "At first {hero} was far behind.",
            "{hero} did {hero.his} best, and so did {friend}.",
        ),
        (
            "But then {friend} slipped and fell.",
            "But suddenly {friend} stopped and held {friend.his} leg.",
        ),
        (
            "{hero} could have won now, but {hero.he} stopped.",
            "{hero} did not think of the prize anymore.",
        ),
        (
            '"Are you hurt?" {hero.he} asked, and helped {friend} up.',
            '"Come, I will help you," said {hero}.',
        ),
    ),
    (
        (
            "They came in last, side by side.",
            "Together they went on, and everybody clapped.",
        ),
        (
            "The {stranger} gave both of them a prize for being kind.",
            "{hero} did not win the {thing}, but {hero.he} won a friend.",
            '"A friend is better than any prize," said {hero}.',
        ),
    ),
)

ASTRAY: Plot = (
    (
        (
            "{when}, {hero} followed a butterfly far away from home.",
            "{when}, {hero} walked too far from {place}.",
            "{when}, {hero} played near {place} and forgot the time.",
        ),
        (
            "Soon {hero.he} did not know the way back.",
            "When {hero.he} looked around, nothing looked as it should.",
        ),
        (
            "It was getting dark, and {hero} was afraid.",
            '"I want to go home," {hero.he} said, and began to cry.',
        ),
    ),
    (
        (
            "Then {hero.he} heard {sound}. It was {friend.introduced}.",
            "{friend.Introduced} sat {spot} and looked at {hero.him}.",
        ),
        (
            '"Are you lost?" asked {friend}.',
            '"Why are you crying?" asked {friend}. "I am lost," said {hero}.',
        ),
        (
            '"I know the way," said {friend}. "Come with me."',
            '"Follow me," said {friend}. "I know every path."',
        ),
        (
            "They walked past {place} and around {other_place}.",
            "{friend} went first with {thing.a}, and {hero} followed.",
            "They sang songs, so that {hero} was not afraid.",
        ),
    ),
    (
        (
            "At last {hero} saw the light of {hero.his} house.",
            "Soon {hero} was home again.",
        ),
        (
            "{hero.His} {elder} came running and hugged {hero.him}.",
            '"There you are!" called {hero.his} {elder}.',
        ),
        (
            "{friend} stayed for supper, and there was {food}.",
            '"Thank you, {friend}," said {hero}. "Come back soon!"',
            "{hero} promised never to go so far alone again.",
        ),
    ),
)

QUARREL: Plot = (
    (
        (
            "{hero.His} best friend was {friend.introduced}.",
            "{hero} and {friend} the {friend.kind} did everything together.",
        ),
        (
            "{when}, they both wanted the same {thing}.",
            "{when}, {friend} broke {hero.his} {thing}.",
            "{when}, {hero} took the {thing} of {friend} without asking.",
        ),
        (
            '"I do not like you anymore!" they shouted.',
            "They were so angry that they did not talk to each other.",
        ),
    ),
    (
        (
            "{hero} went to {place} alone, but it was no fun.",
            "{hero} sat at home and felt lonely.",
            "The next day, {hero} missed {friend} very much.",
        ),
        (
            '"Say that you are sorry," said {hero.his} {elder}.',
            "{hero} talked to {hero.his} {elder}, who knew what to do.",
        ),
        (
            "So {hero} took some {food} and went to {friend}.",
            "So {hero} made {gift.a} for {friend}.",
        ),
        (
            '"I am sorry," said {hero}.',
            '"Please forgive me," said {hero}. "I was wrong."',
        ),
        (
            '"I am sorry, too," said {friend}.',
            'And {friend} said, "I missed you, too."',
        ),
    ),
    (
        (
            "They hugged, and everything was good again.",
            "Then they went to {other_place} and played all day.",
        ),
        (
            "A friend is worth more than {thing.a}.",
            "After that, they never fought about such a thing again.",
            "",
        ),
    ),
)

PRESENT: Plot = (
    (
        (
            "Tomorrow was the birthday of {friend} the {friend.kind}.",
            "{when}, {hero} was invited to the birthday of {friend} the {friend.kind}.",
        ),
        (
            "{hero} did not know what to give {friend.him}.",
            '"What can I give {friend}?" {hero} asked {hero.his} {elder}.',
        ),
    ),
    (
        (
            "{hero} looked at {place}, but found only {thing.a}.",
            "{hero} went to {place} and saw {thing.a}, but it cost too much.",
        ),
        (
            "Then {hero.he} had an idea.",
            '"Make something yourself," said {hero.his} {elder}.',
        ),
        (
            "All day long, {hero} worked in secret.",
            "{hero.He} worked until late at night.",
        ),
        (
            "{hero.He} made {gift.a} with {hero.his} own hands.",
            "With some help from the {stranger}, {hero.he} made {gift.a}.",
        ),
    ),
    (
        (
            '"For me?" asked {friend}. "It is wonderful!"',
            "{friend} opened the box and laughed with joy.",
        ),
        (
            '"It is the best present of all," said {friend}.',
            "{friend} loved the {gift} more than anything else.",
        ),
        (
            "Then there was {food} for everyone.",
            "And they danced and sang until the stars came out.",
        ),
    ),
)

STORM: Plot = (
    (
        (
            "{when}, dark clouds came over {place}.",
            "{when}, a big storm began.",
        ),
        (
            "The wind blew, and the rain fell and fell.",
            "There was thunder, and the trees shook.",
        ),
        (
            "{hero} sat by the window with {hero.his} {elder}.",
            "{hero} was warm and dry at home and ate {food}.",
        ),
    ),
    (
        (
            "Then there was a knock at the door.",
            "Then {hero.he} heard {sound} outside.",
        ),
        (
            "It was {friend.introduced}, wet and cold.",
            "Outside stood {friend.introduced}, who had no home anymore.",
        ),
        (
            '"May I come in?" asked {friend}. "The storm took my house."',
            '"The wind blew my house away," said {friend}.',
        ),
        (
            '"Of course," said {hero}. "Come in and get warm."',
            "{hero} gave {friend.him} {thing.a} and something warm to drink.",
        ),
    ),
    (
        (
            "The next morning, the sun was shining.",
            "In the morning, the storm was over.",
        ),
        (
            "{hero} and {friend} built a new house {spot}.",
            "Everybody helped, even the {stranger}, and {friend} got a new house.",
        ),
        (
            "Now {friend} lives next door, and they play every day.",
            '"Now we are neighbors," said {friend}.',
        ),
    ),
)

PLOTS: tuple[Plot, ...] = (
    *(LOST, FOUND, WISH, FEAR, LEARN, SHARE),
    *(BUILD, CONTEST, ASTRAY, QUARREL, PRESENT, STORM),
)

ENDINGS = (
    "From that day on, {hero} and {friend} were best friends.",
    "{hero} and {friend} laughed all the way home.",
    "That night, {hero} fell asleep with a smile.",
    "It was the best day of the whole year.",
    "And they all lived happily ever after.",
    "{hero} never forgot that day.",
    "Everyone was happy. The end.",
    "The end.",
)

PROMPTS = (
    "Write a short story about {a} {hero.kind}.",
    "Tell me a story about {a} {hero.kind} named {hero}.",
    "Tell a story about {hero} and {friend}.",
    "Write a story in which somebody is named {hero}.",
    "Tell me a story about {thing.a} and {a} {hero.kind}.",
)
