//! Answers calls: parse, ask the others, commit, answer. The rules are in `domain`.
use crate::domain::{
    self, ACTIVE_SCOPE, Active, Add, Cart, CartEvent, GUEST_SCOPE, Line, Merge, USUAL_MARKET,
};
use crate::proto::{self, Offers, WantedItem};
use crate::{effects, views};
use souk_contracts::cart::v1::{self as pb, CartService};
use souk_contracts::terms::{CartId, Market, Sku};
use souk_eventstore::{CommitError, CommitId, Decision, Expected, Folded, Origin, StreamId, Work};
use souk_host::Resources;
use souk_identity::Kind;
use souk_kernel::{Code, Error, Rejection};
use souk_rpc::{BoxFuture, Cx, Result};
use std::sync::Arc;

/// How often a change begins again because the owner's cart was opened or converted in the meantime.
const ATTEMPTS_MAX: usize = 8;

/// The service's answers.
pub struct Carts {
    pub own: Resources,
}

impl CartService for Carts {
    fn get_cart(&self, cx: Cx, request: pb::GetCartRequest) -> BoxFuture<'_, Result<pb::GetCartResponse>> {
        Box::pin(self.get(cx, request))
    }

    fn add_item(&self, cx: Cx, request: pb::AddItemRequest) -> BoxFuture<'_, Result<pb::AddItemResponse>> {
        Box::pin(async move {
            let wanted = proto::add_item(request)?;
            let owner = owner(&cx)?;
            let cart = self.add(&cx, &owner, wanted).await?;
            Ok(pb::AddItemResponse { cart: Some(cart) })
        })
    }

    fn set_quantity(
        &self,
        cx: Cx,
        request: pb::SetQuantityRequest,
    ) -> BoxFuture<'_, Result<pb::SetQuantityResponse>> {
        Box::pin(async move {
            let pb::SetQuantityRequest { line, quantity, expected_version } = request;
            let change = move |cart: &Folded<Cart>| {
                domain::check_version(cart.version(), expected_version)?;
                domain::set_quantity(cart, line, quantity)
            };
            let cart = self.change(&cx, change).await?.ok_or_else(|| Error::not_found("the cart line"))?;
            Ok(pb::SetQuantityResponse { cart: Some(cart) })
        })
    }

    fn remove_item(
        &self,
        cx: Cx,
        request: pb::RemoveItemRequest,
    ) -> BoxFuture<'_, Result<pb::RemoveItemResponse>> {
        Box::pin(async move {
            let cart = self.change(&cx, move |cart| domain::remove(cart, request.line)).await?;
            let cart = cart.ok_or_else(|| Error::not_found("the cart line"))?;
            Ok(pb::RemoveItemResponse { cart: Some(cart) })
        })
    }

    fn clear_cart(
        &self,
        cx: Cx,
        _request: pb::ClearCartRequest,
    ) -> BoxFuture<'_, Result<pb::ClearCartResponse>> {
        Box::pin(async move {
            let cart = self.change(&cx, |cart| domain::clear(cart)).await?;
            let cart = cart.unwrap_or_else(|| proto::empty_cart(&usual_market()));
            Ok(pb::ClearCartResponse { cart: Some(cart) })
        })
    }

    fn merge_guest_cart(
        &self,
        cx: Cx,
        request: pb::MergeGuestCartRequest,
    ) -> BoxFuture<'_, Result<pb::MergeGuestCartResponse>> {
        Box::pin(async move {
            let customer = customer(&cx)?;
            let guest = self.guest(&proto::guest_token(request)?)?;
            let cart = self.merge(&cx, &guest, &customer).await?;
            Ok(pb::MergeGuestCartResponse { cart: Some(cart) })
        })
    }

    fn read_lines(
        &self,
        cx: Cx,
        request: pb::ReadLinesRequest,
    ) -> BoxFuture<'_, Result<pb::ReadLinesResponse>> {
        Box::pin(async move {
            let stream = StreamId::of::<Cart>(proto::cart_id(&request.cart_id)?);
            let owner = owner(&cx)?;
            let cart = self.own.store.state::<Cart>(&stream).await?;
            let active = cart.active().filter(|active| active.owner == owner);
            let active = active.ok_or_else(|| Error::not_found("the cart"))?;
            Ok(proto::plain_lines(active, cart.version()))
        })
    }
}

impl Carts {
    async fn get(&self, cx: Cx, request: pb::GetCartRequest) -> Result<pb::GetCartResponse> {
        let market = proto::market(&request.market)?;
        let owner = owner(&cx)?;
        let cart = match self.current(&owner).await? {
            Some((_, cart)) => self.shown(&cx, &cart, market, None).await?,
            None => None,
        };
        let market = || proto::market(&request.market).ok().flatten().unwrap_or_else(usual_market);
        Ok(pb::GetCartResponse { cart: Some(cart.unwrap_or_else(|| proto::empty_cart(&market()))) })
    }

    /// Adds to the owner's cart as it is at the commit; begins again when it is another cart by then.
    async fn add(&self, cx: &Cx, owner: &Arc<str>, wanted: WantedItem) -> Result<pb::Cart> {
        for _ in 0..ATTEMPTS_MAX {
            let current = self.current(owner).await?;
            let active = current.as_ref().and_then(|(_, cart)| cart.active());
            let repeated = match active {
                Some(active) => active.repeats(&wanted.op_id, &wanted.sku, wanted.quantity)?,
                None => false,
            };
            if let (true, Some((_, cart))) = (repeated, &current) {
                return self.shown(cx, cart, None, None).await?.ok_or_else(busy);
            }
            let market = wanted.market.clone().or_else(|| active.map(|active| active.market.clone()));
            let market = market.unwrap_or_else(usual_market);
            let lines = active.map(|active| active.lines.as_slice()).unwrap_or_default();
            let skus = lines.iter().map(|line| &line.sku).chain([&wanted.sku]);
            let offers = effects::offers(&self.own, cx, owner, skus, &market).await?;
            let add = Add {
                cart_id: current.as_ref().map_or_else(|| self.own.ids.new_id(), |(id, _)| *id),
                owner: Arc::clone(owner),
                unit_price: unit_price(&offers, &wanted.sku)?,
                sku: wanted.sku.clone(),
                quantity: wanted.quantity,
                op_id: Arc::clone(&wanted.op_id),
                market,
                switch: wanted.market.is_some(),
            };
            if let Some(cart) = self.try_add(cx, add).await? {
                return self.shown(cx, &cart, None, Some(offers)).await?.ok_or_else(busy);
            }
        }
        Err(busy())
    }

    /// The cart after the addition; `None` when it was opened or converted by somebody else meanwhile.
    async fn try_add(&self, cx: &Cx, add: Add) -> Result<Option<Folded<Cart>>> {
        let stream = StreamId::of::<Cart>(add.cart_id);
        let at = stream.clone();
        let work = self.work(cx).read::<Cart>(&stream).decide(move |facts, _| {
            let cart = facts.state::<Cart>(&at);
            let decision = Decision::new().append(&at, Expected::Any, domain::add(&cart, &add)?);
            Ok(match cart.exists() {
                true => decision,
                false => decision.hold(ACTIVE_SCOPE, Arc::clone(&add.owner), add.cart_id.to_string()),
            })
        });
        self.settled(&stream, work).await
    }

    /// The guest whose session's token this is.
    fn guest(&self, token: &str) -> Result<Arc<str>> {
        let principal = self.own.guard.bearer(token).filter(|principal| principal.kind == Kind::Guest);
        principal.map(|guest| guest.subject.as_str().into()).ok_or_else(|| Error::not_found("the guest"))
    }

    /// Takes the guest's cart into the customer's, both as they are at the commit; begins again when either is
    /// another one by then. A guest who has no cart, because it was merged before, changes nothing.
    async fn merge(&self, cx: &Cx, guest: &Arc<str>, customer: &Arc<str>) -> Result<pb::Cart> {
        for _ in 0..ATTEMPTS_MAX {
            let guest_cart = self.current(guest).await?.map(|(id, _)| id);
            let current = self.current(customer).await?;
            let cart_id = current.map_or_else(|| self.own.ids.new_id(), |(id, _)| id);
            let merging = (guest.clone(), customer.clone());
            let work = merging_work(self.work(cx), guest_cart, cart_id, merging);
            let Some(cart) = self.settled(&StreamId::of::<Cart>(cart_id), work).await? else { continue };
            let shown = self.shown(cx, &cart, None, None).await?;
            return Ok(shown.unwrap_or_else(|| proto::empty_cart(&usual_market())));
        }
        Err(busy())
    }

    /// Changes the owner's cart by a rule that needs nothing else; `None` when there is no cart.
    async fn change<R>(&self, cx: &Cx, rule: R) -> Result<Option<pb::Cart>>
    where
        R: Fn(&Folded<Cart>) -> Result<Vec<CartEvent>, Rejection> + Send + Sync + Clone + 'static,
    {
        let owner = owner(cx)?;
        for _ in 0..ATTEMPTS_MAX {
            let Some((id, _)) = self.current(&owner).await? else { return Ok(None) };
            let stream = StreamId::of::<Cart>(id);
            let (at, rule) = (stream.clone(), rule.clone());
            let work = self.work(cx).read::<Cart>(&stream).decide(move |facts, _| {
                Ok(Decision::new().append(&at, Expected::Any, rule(&facts.state::<Cart>(&at))?))
            });
            if let Some(cart) = self.settled(&stream, work).await? {
                return self.shown(cx, &cart, None, None).await;
            }
        }
        Err(busy())
    }

    /// The cart after the commit; `None` when it is no longer the owner's active one.
    async fn settled(&self, stream: &StreamId, work: Work) -> Result<Option<Folded<Cart>>> {
        match self.own.store.commit(work).await {
            Ok(committed) => Ok(committed.state::<Cart>(stream)),
            Err(CommitError::ClaimTaken { .. }) => Ok(None),
            Err(CommitError::Rejected(rejection)) if rejection.reason == domain::CART_MOVED => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The owner's active cart as it is now. One that was converted between the two looks is looked for again:
    /// by then it is known whether another has taken its place.
    async fn current(&self, owner: &str) -> Result<Option<(CartId, Folded<Cart>)>> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(id) = views::active_cart(&self.own.store, owner).await? else { return Ok(None) };
            let cart = self.own.store.state::<Cart>(&StreamId::of::<Cart>(id)).await?;
            if cart.active().is_some() {
                return Ok(Some((id, cart)));
            }
        }
        Err(busy())
    }

    /// The cart with what is offered now, for another market if one is named. Offers that were fetched a
    /// moment ago are used again when they speak of every line.
    async fn shown(
        &self,
        cx: &Cx,
        cart: &Folded<Cart>,
        market: Option<Market>,
        offers: Option<Offers>,
    ) -> Result<Option<pb::Cart>> {
        let Some(active) = cart.active() else { return Ok(None) };
        let market = market.unwrap_or_else(|| active.market.clone());
        let fresh = offers.filter(|offers| offers.market == market && offers.cover(&active.lines));
        let offers = match fresh {
            Some(offers) => offers,
            None => self.offers(cx, active, &market).await?,
        };
        Ok(Some(proto::cart(active, cart.version(), &offers)))
    }

    async fn offers(&self, cx: &Cx, active: &Active, market: &Market) -> Result<Offers> {
        let skus = active.lines.iter().map(|line: &Line| &line.sku);
        effects::offers(&self.own, cx, &active.owner, skus, market).await
    }

    fn work(&self, cx: &Cx) -> Work {
        let actor = cx.principal().map_or("", |principal| principal.subject.as_str());
        let origin = Origin::by(actor)
            .correlation(cx.request_id())
            .causation(cx.request_id())
            .trace(cx.trace().to_string());
        Work::new(CommitId::new(self.own.ids.uuid()), origin)
    }
}

fn owner(cx: &Cx) -> Result<Arc<str>> {
    Ok(cx.principal()?.owner().into())
}

/// The caller, who must have signed in.
fn customer(cx: &Cx) -> Result<Arc<str>> {
    let principal = cx.principal()?;
    match principal.kind {
        Kind::Customer => Ok(principal.subject.as_str().into()),
        Kind::Guest | Kind::Staff | Kind::Service => {
            let message = "only a customer who has signed in can take in a guest's cart";
            Err(Error::new(Code::PermissionDenied, "PERMISSION_DENIED", message))
        }
    }
}

/// One commit over both carts and the claims on them. Whoever merges a guest's cart first is that guest for ever.
fn merging_work(
    work: Work,
    guest_cart: Option<CartId>,
    cart_id: CartId,
    (guest, customer): (Arc<str>, Arc<str>),
) -> Work {
    let into = StreamId::of::<Cart>(cart_id);
    let from = guest_cart.map(|id| (id, StreamId::of::<Cart>(id)));
    let work = work.read::<Cart>(&into).claim(GUEST_SCOPE, Arc::clone(&guest));
    let work = from.iter().fold(work, |work, (_, from)| work.read::<Cart>(from));
    work.decide(move |facts, _| {
        if facts.claim(GUEST_SCOPE, &guest).is_some_and(|known| *known != *customer) {
            return Err(Rejection::new("NOT_FOUND", "the guest was not found").code(Code::NotFound));
        }
        let Some((guest_cart, from)) = &from else { return Ok(Decision::new()) };
        let (guest, customer) = (Arc::clone(&guest), Arc::clone(&customer));
        let merge =
            Merge { guest_cart: *guest_cart, guest: guest.clone(), cart_id, customer: customer.clone() };
        let merging = domain::merge(&facts.state::<Cart>(from), &facts.state::<Cart>(&into), &merge)?;
        Ok(Decision::new()
            .append(from, Expected::Exists, vec![CartEvent::CartMerged(merging.merged)])
            .append(&into, Expected::Any, merging.events)
            .release(ACTIVE_SCOPE, guest.clone())
            .hold(ACTIVE_SCOPE, customer.clone(), cart_id.to_string())
            .hold(GUEST_SCOPE, guest, customer))
    })
}

fn usual_market() -> Market {
    Market::try_new(USUAL_MARKET).expect("a constant of two upper-case letters")
}

/// What one costs now, or why it cannot be added.
fn unit_price(offers: &Offers, sku: &Sku) -> Result<souk_kernel::Money, Rejection> {
    let market = &offers.market;
    offers.unit_price(sku).ok_or_else(|| match offers.knows(sku) {
        false => {
            Rejection::new(domain::UNKNOWN_SKU, format!("there is no SKU {sku} for sale")).with("sku", sku)
        }
        true => Rejection::new(domain::NOT_SOLD_IN_MARKET, format!("SKU {sku} is not sold in {market}"))
            .with("sku", sku)
            .with("market", market),
    })
}

fn busy() -> Error {
    Error::new(Code::Aborted, "CART_BUSY", "the cart is being changed by others; try again")
}
