"""LangGraph: a graph of a model's node and a node of tools, with LangChain's OpenAI model."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from benchmarks.contenders.peer_calls import KEY, PROMPT, add, calls, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work

QUESTION = {"messages": [{"role": "user", "content": PROMPT}]}


def _graph(model: Any, tools: list[Any]) -> Any:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    if tools:
        graph.add_node("tools", ToolNode(tools))
        graph.add_conditional_edges("ask", tools_condition)
        graph.add_edge("tools", "ask")
    return graph.compile()


@asynccontextmanager
async def invocations(url: str, tolerant: bool = False) -> AsyncIterator[Work]:
    """Runs of a graph that asks once."""
    graph = _graph(ChatOpenAI(model="m", base_url=url, api_key=KEY), [])

    async def call(_: int) -> Any:
        return (await graph.ainvoke(QUESTION))["messages"][-1].content

    yield calls(call, tolerant=tolerant)


class Stub(BaseChatModel):
    """A model that answers at once."""

    @property
    def _llm_type(self) -> str:
        return "stub"

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        if isinstance(messages[-1], ToolMessage):
            answer = AIMessage("It is done.")
        else:
            call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "call_1"}
            answer = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)


@asynccontextmanager
async def workflow() -> AsyncIterator[Work]:
    """Runs of a graph with a tool, over a stub."""
    graph = _graph(Stub(), [tool(add)])

    async def run(_: int) -> Any:
        return (await graph.ainvoke(QUESTION))["messages"][-1].content

    yield runs(run)
