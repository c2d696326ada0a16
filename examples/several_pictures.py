"""A conversation about several pictures: names, pictures between words, a fork, and another picture later on.

Run it without arguments; it draws its pictures and keeps nothing.
"""

from __future__ import annotations

from drawing import scene

from looktwice import Agent, Image


def main() -> None:
    wall = scene("red circle at top left", "green triangle at top right", "blue square at bottom right")
    door = scene("purple square at left", "yellow circle at centre", "orange triangle at bottom")
    gate = scene("green circle at right", "orange square at bottom left", "red triangle at top")

    with Agent("pocket", memory=":memory:") as agent:
        chat = agent.chat("house")
        chat.add(wall, "wall", alt="A wall with three shapes")
        chat.add(door, "door")
        first = chat.ask("What colour is the circle in @wall?")
        print("wall, circle:", first)
        print("door, circle:", chat.ask("And in @door?"))

        # A picture may stand inside the question, where it belongs.
        print("gate, circle:", chat.ask([Image(gate, "gate"), "What colour is the circle in @gate?"]))
        print("wall, still:", chat.ask("Where is the blue square in @wall?"))

        # A fork shares everything up to an answer, and what was computed for it.
        other = chat.fork(first)
        answer = other.ask("What shape is green in @wall?")
        print(f"fork {other.name}:", answer)
        print("tokens reused:", "yes" if answer.usage.reused > answer.usage.new else "no")
        print("the pictures of", chat.name, "are", ", ".join(picture.name for picture in chat.images))
        print("the questions of", other.name, "are", sum(turn.role == "user" for turn in other.turns))


if __name__ == "__main__":
    main()
