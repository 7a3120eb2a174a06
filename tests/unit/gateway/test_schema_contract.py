"""The schema offers everything that the public surface promises, under exactly these names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    find_breaking_changes,
    print_ast,
)

from gateway.schema.schema import make_schema, sdl

PROMISED = """
directive @freshness(maxStalenessMs: Int!, onStale: OnStale = SERVE, timeoutMs: Int = 1000,
  allowHoles: Boolean = false) on QUERY | FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @readAfter(tokens: [String!]) on QUERY | MUTATION | SUBSCRIPTION
directive @idempotent(key: String!) on MUTATION | FIELD
directive @projectedFrom(readModel: String!, sources: [String!]!) on FIELD_DEFINITION
enum OnStale { SERVE WAIT SOURCE FAIL NULL }
scalar Decimal
scalar DateTime
scalar JSON

type Query {
  node(id: ID!): Node
  customer(id: ID!): Customer
  customers(first: Int = 20, after: String, filter: CustomerFilter): CustomerConnection!
  order(id: ID!, asOf: DateTime): Order
  orders(first: Int = 20, after: String, filter: OrderFilter): OrderConnection!
  product(sku: String!): Product
  products(first: Int = 20, after: String): ProductConnection!
  search(text: String!, kinds: [SearchKind!], first: Int = 20, after: String): SearchConnection!
  orderHistory(id: ID!): [OrderEvent!]!
  readModels: [ReadModelStatus!]!
}

interface Node { id: ID! }
type PageInfo {
  hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String
}

type Customer implements Node {
  id: ID! name: String! email: String!
  creditLimit: Money! creditReserved: Money! creditAvailable: Money!
  orders(first: Int = 20, after: String, status: [OrderStatus!]): OrderConnection!
  orderCount: Int! orderTotal: Money!
  freshness(field: String): Freshness!
}
type CustomerConnection { edges: [CustomerEdge!]! pageInfo: PageInfo! }
type CustomerEdge { node: Customer! cursor: String! }

type Order implements Node {
  id: ID! customer: Customer status: OrderStatus! rejectionReason: RejectionReason
  lines: [OrderLine!]! total: Money! note: String placedAt: DateTime! updatedAt: DateTime!
  processing: OrderProcessing
  freshness(field: String): Freshness!
}
type OrderConnection { edges: [OrderEdge!]! pageInfo: PageInfo! }
type OrderEdge { node: Order! cursor: String! }
enum OrderStatus { PENDING APPROVED REJECTED CANCELLED SHIPPED }
type OrderLine {
  sku: String! productName: String! quantity: Int! unitPrice: Money! total: Money!
}

type Product implements Node {
  id: ID! sku: String! name: String! description: String! price: Money! stockAvailable: Int!
  freshness(field: String): Freshness!
}
type ProductConnection { edges: [ProductEdge!]! pageInfo: PageInfo! }
type ProductEdge { node: Product! cursor: String! }

enum SearchKind { ORDER PRODUCT CUSTOMER }
type SearchConnection {
  edges: [SearchEdge!]! pageInfo: PageInfo! totalCount: Int freshness: Freshness!
}
type SearchEdge { node: SearchHit! cursor: String! score: Float! highlights: [Highlight!]! }
union SearchHit = Order | Product | Customer
type Highlight { field: String! snippets: [String!]! }

input CustomerFilter { email: String nameStartsWith: String }
input OrderFilter {
  customerId: ID status: [OrderStatus!] placedAfter: DateTime placedBefore: DateTime
}
type Money { amount: Decimal! currency: String! }

type Freshness {
  readModel: String sources: [SourceFreshness!]! asOf: DateTime maxStalenessMs: Int
  staleExceptHolesMs: Int lagEvents: Int holes: Int! status: FreshnessStatus! complete: Boolean!
  servedFrom: ServedFrom! limitedBy: FreshnessLimit
}
type SourceFreshness { source: String! asOf: DateTime maxStalenessMs: Int tick: String }
enum FreshnessStatus { LIVE LAGGING STALLED REBUILDING UNKNOWN }
enum FreshnessLimit { OUTBOX LOG PROJECTOR REFRESH HOLE PROBE }
enum ServedFrom { READ_MODEL SOURCE CACHE }
type ReadModelStatus {
  name: String! version: Int! status: FreshnessStatus! maxStalenessMs: Int lagEvents: Int
  holes: Int! eventsPerSecond: Float! documents: Int rebuild: RebuildProgress
  sources: [SourceFreshness!]!
}
type RebuildProgress { version: Int! eventsDone: Int! eventsTotal: Int! secondsLeft: Int }
type OrderProcessing {
  since: DateTime! deadline: DateTime! credit: SagaStep! stock: SagaStep!
}
enum SagaStep { WAITING AGREED REFUSED }
enum RejectionReason {
  CREDIT_LIMIT_EXCEEDED UNKNOWN_CUSTOMER CURRENCY_MISMATCH OUT_OF_STOCK TIMED_OUT
}
type OrderEvent {
  id: ID! type: String! version: Int! recordedAt: DateTime! actor: String
  correlationId: String! data: JSON!
}

type Mutation {
  createCustomer(input: CreateCustomerInput!): CreateCustomerResult!
  changeCreditLimit(input: ChangeCreditLimitInput!): ChangeCreditLimitResult!
  addProduct(input: AddProductInput!): AddProductResult!
  restockProduct(input: RestockProductInput!): RestockProductResult!
  placeOrder(input: PlaceOrderInput!): PlaceOrderResult!
  cancelOrder(input: CancelOrderInput!): CancelOrderResult!
  shipOrder(input: ShipOrderInput!): ShipOrderResult!
}
input MoneyInput { amount: Decimal! currency: String! }
input CreateCustomerInput { name: String! email: String! creditLimit: MoneyInput! }
input ChangeCreditLimitInput { customerId: ID! creditLimit: MoneyInput! }
input AddProductInput {
  sku: String! name: String! description: String! = "" price: MoneyInput! stock: Int!
}
input RestockProductInput { sku: String! quantity: Int! }
input OrderLineInput { sku: String! quantity: Int! }
input PlaceOrderInput {
  customerId: ID! lines: [OrderLineInput!]! note: String expectedTotal: MoneyInput
}
input CancelOrderInput { orderId: ID! reason: String }
input ShipOrderInput { orderId: ID! }

type CreateCustomerSuccess { customer: Customer! consistencyToken: String! }
type ChangeCreditLimitSuccess { customer: Customer! consistencyToken: String! }
type AddProductSuccess { product: Product! consistencyToken: String! }
type RestockProductSuccess { product: Product! consistencyToken: String! }
type PlaceOrderSuccess { order: Order! consistencyToken: String! }
type CancelOrderSuccess { order: Order! consistencyToken: String! }
type ShipOrderSuccess { order: Order! consistencyToken: String! }
interface UserError { message: String! code: String! }
type InvalidInput implements UserError { message: String! code: String! }
type CustomerNotFound implements UserError { message: String! code: String! }
type ProductNotFound implements UserError { message: String! code: String! }
type PriceChanged implements UserError { message: String! code: String! }
type CreditLimitBelowReserved implements UserError { message: String! code: String! }
type DuplicateSku implements UserError { message: String! code: String! }
type OrderNotFound implements UserError { message: String! code: String! }
type OrderNotCancellable implements UserError { message: String! code: String! }
type OrderNotShippable implements UserError { message: String! code: String! }
union CreateCustomerResult = CreateCustomerSuccess | InvalidInput
union ChangeCreditLimitResult =
  ChangeCreditLimitSuccess | CustomerNotFound | CreditLimitBelowReserved | InvalidInput
union AddProductResult = AddProductSuccess | DuplicateSku | InvalidInput
union RestockProductResult = RestockProductSuccess | ProductNotFound | InvalidInput
union PlaceOrderResult = PlaceOrderSuccess | ProductNotFound | PriceChanged | InvalidInput
union CancelOrderResult = CancelOrderSuccess | OrderNotFound | OrderNotCancellable | InvalidInput
union ShipOrderResult = ShipOrderSuccess | OrderNotFound | OrderNotShippable | InvalidInput

type Subscription {
  orderChanged(id: ID!): Order!
  customerChanged(id: ID!): Customer!
  readModelProgress(name: String): ReadModelStatus!
}
"""


@pytest.fixture(scope="module")
def promised() -> GraphQLSchema:
    return build_schema(PROMISED)


@pytest.fixture(scope="module")
def offered() -> GraphQLSchema:
    return build_schema(sdl())


def test_nothing_that_is_promised_breaks(promised: GraphQLSchema, offered: GraphQLSchema) -> None:
    changes = find_breaking_changes(promised, offered)
    assert [change.description for change in changes] == []


def test_every_promised_signature_is_offered_to_the_letter(
    promised: GraphQLSchema, offered: GraphQLSchema
) -> None:
    missing = sorted(set(_signatures(promised)) - set(_signatures(offered)))
    assert missing == []


def test_enums_hold_no_more_than_is_promised(
    promised: GraphQLSchema, offered: GraphQLSchema
) -> None:
    for name, type_ in promised.type_map.items():
        if isinstance(type_, GraphQLEnumType) and not name.startswith("__"):
            found = offered.type_map[name]
            assert isinstance(found, GraphQLEnumType)
            assert list(found.values) == list(type_.values)


def test_every_leaf_of_a_read_model_names_where_it_comes_from() -> None:
    text = sdl()
    assert '@projectedFrom(readModel: "customer_orders", sources: ["customers"])' in text
    for line in ("stockAvailable: Int!", "placedAt: DateTime!", "creditReserved: Money!"):
        assert f"{line} @projectedFrom(" in text


def test_the_text_is_the_same_each_time() -> None:
    assert make_schema().as_str() == make_schema().as_str()


def _signatures(schema: GraphQLSchema) -> Iterator[str]:
    """Say everything that a client may rely on, a line each."""
    for name, type_ in schema.type_map.items():
        if name.startswith("__"):
            continue
        yield f"{type(type_).__name__} {name}"
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            yield from (f"{name} implements {one.name}" for one in type_.interfaces)
            for field_name, field in type_.fields.items():
                yield f"{name}.{field_name}: {field.type}"
                yield from _arguments(f"{name}.{field_name}", field.args)
        if isinstance(type_, GraphQLInputObjectType):
            yield from _arguments(name, type_.fields)
        if isinstance(type_, GraphQLUnionType):
            yield from (f"{name} may be {one.name}" for one in type_.types)
    for directive in schema.directives:
        yield from (f"@{directive.name} on {location.name}" for location in directive.locations)
        yield from _arguments(f"@{directive.name}", directive.args)


def _arguments(owner: str, arguments: object) -> Iterator[str]:
    assert isinstance(arguments, dict)
    for name, argument in arguments.items():
        node = argument.ast_node
        default = node.default_value if node is not None else None
        yield f"{owner}({name}: {argument.type} = {print_ast(default) if default else 'none'})"
