//! What an order is made of and where it goes: cart, catalog and shipping.
use super::{Answer, Books, Floor, Stream, World, gbp, never_called};
use souk_contracts::cart::v1 as cart;
use souk_contracts::catalog::v1 as catalog;
use souk_contracts::shipping::v1 as shipping;
use souk_contracts::types::v1::Money;
use souk_kernel::{Code, Error};
use souk_rpc::Cx;

impl cart::CartService for World {
    fn read_lines(&self, cx: Cx, request: cart::ReadLinesRequest) -> Answer<cart::ReadLinesResponse> {
        // The token says on whose behalf; the guard of the real cart reads it.
        let token = cx.token().cloned();
        let found = self.books(|books| books.carts.get(&request.cart_id).cloned());
        Box::pin(async move {
            token.ok_or_else(|| Error::new(Code::Unauthenticated, "UNAUTHENTICATED", "no token"))?;
            let (_, lines) = found.ok_or_else(|| Error::not_found("the cart"))?;
            let market = "GB".to_owned();
            Ok(cart::ReadLinesResponse { cart_id: request.cart_id, market, lines, version: 3 })
        })
    }

    never_called! {
        get_cart(cart::GetCartRequest) -> cart::GetCartResponse;
        add_item(cart::AddItemRequest) -> cart::AddItemResponse;
        set_quantity(cart::SetQuantityRequest) -> cart::SetQuantityResponse;
        remove_item(cart::RemoveItemRequest) -> cart::RemoveItemResponse;
        clear_cart(cart::ClearCartRequest) -> cart::ClearCartResponse;
        merge_guest_cart(cart::MergeGuestCartRequest) -> cart::MergeGuestCartResponse;
    }
}

impl Books {
    /// Prices lines: a coupon takes its amount off the first, and tax is added, shipping's too.
    fn price(&self, request: &catalog::PriceLinesRequest) -> catalog::PriceLinesResponse {
        let taxed = |minor: i64| minor * self.tax_percent / 100;
        let known = |code: &String| self.coupons.get(code).copied();
        let taken_off: i64 = request.coupon_codes.iter().filter_map(known).sum();
        let (mut subtotal, mut discount, mut tax, mut lines) = (0, 0, 0, Vec::new());
        for (index, line) in request.lines.iter().enumerate() {
            let (mut priced, found) = (catalog::PricedLine::default(), self.products.get(&line.sku));
            (priced.line, priced.sku, priced.quantity) = (line.line, line.sku.clone(), line.quantity);
            let price = found.and_then(|(_, price)| price.as_ref());
            priced.title = found.map(|(title, _)| title.clone()).unwrap_or_default();
            let miss = match (found, price) {
                (None, _) => catalog::PriceMiss::UnknownSku,
                (Some(_), None) => catalog::PriceMiss::NotSoldInMarket,
                (Some(_), Some(_)) => catalog::PriceMiss::None,
            };
            priced.miss = miss.into();
            if let Some(price) = price {
                let of_line = price.minor_units * i64::from(line.quantity);
                let off = if index == 0 { taken_off } else { 0 };
                (subtotal, discount) = (subtotal + of_line, discount + off);
                tax += taxed(of_line - off);
                priced.unit_price = Some(price.clone());
                priced.subtotal = Some(gbp(of_line));
                priced.discount = Some(gbp(off));
                priced.tax = Some(gbp(taxed(of_line - off)));
                priced.total = Some(gbp(of_line - off + taxed(of_line - off)));
                priced.price_version = 2;
            }
            lines.push(priced);
        }
        let shipping = request.shipping.as_ref().map_or(0, |money| money.minor_units);
        let shipping_tax = taxed(shipping);
        let refused = request.coupon_codes.iter().filter(|code| !self.coupons.contains_key(*code));
        catalog::PriceLinesResponse {
            lines,
            subtotal: Some(gbp(subtotal)),
            discount: Some(gbp(discount)),
            shipping: Some(gbp(shipping)),
            shipping_discount: Some(gbp(0)),
            tax: Some(gbp(tax + shipping_tax)),
            total: Some(gbp(subtotal - discount + tax + shipping + shipping_tax)),
            shipping_tax: Some(gbp(shipping_tax)),
            refused: refused
                .map(|code| catalog::CouponRefusal {
                    code: code.clone(),
                    reason: catalog::Reason::CouponUnknown.into(),
                    message: String::new(),
                })
                .collect(),
            ..catalog::PriceLinesResponse::default()
        }
    }

    fn redemption(&self, order_id: &str) -> Option<catalog::Redemption> {
        Some(catalog::Redemption {
            order_id: order_id.to_owned(),
            status: self.redeemed[order_id].into(),
            reason: catalog::Reason::CouponExhausted.into(),
            code: "TEN".to_owned(),
            codes: Vec::new(),
        })
    }
}

impl catalog::CatalogService for World {
    fn price_lines(&self, _: Cx, request: catalog::PriceLinesRequest) -> Answer<catalog::PriceLinesResponse> {
        let answer = self.books(|books| books.price(&request));
        Box::pin(async move { Ok(answer) })
    }

    fn redeem_coupons(
        &self,
        _: Cx,
        request: catalog::RedeemCouponsRequest,
    ) -> Answer<catalog::RedeemCouponsResponse> {
        self.carry("redeem", move |books| {
            use catalog::RedemptionStatus as Status;
            let first = if books.willing("redeem") { Status::Redeemed } else { Status::Refused };
            books.redeemed.entry(request.order_id.clone()).or_insert(first);
            Ok(catalog::RedeemCouponsResponse { redemption: books.redemption(&request.order_id) })
        })
    }

    fn release_coupons(
        &self,
        _: Cx,
        request: catalog::ReleaseCouponsRequest,
    ) -> Answer<catalog::ReleaseCouponsResponse> {
        self.carry("release_coupons", move |books| {
            use catalog::RedemptionStatus as Status;
            if books.redeemed.get(&request.order_id) != Some(&Status::Refused) {
                books.redeemed.insert(request.order_id.clone(), Status::Released);
            }
            Ok(catalog::ReleaseCouponsResponse { redemption: books.redemption(&request.order_id) })
        })
    }

    fn batch_get_variants(
        &self,
        _: Cx,
        request: catalog::BatchGetVariantsRequest,
    ) -> Answer<catalog::BatchGetVariantsResponse> {
        assert!((1..=500).contains(&request.skus.len()), "asked in chunks");
        let results = self.books(|books| {
            let result = |sku: &String| catalog::VariantResult {
                sku: sku.clone(),
                variant: books.products.get(sku).map(|(title, price)| catalog::SoldVariant {
                    sku: sku.clone(),
                    title: title.clone(),
                    handle: "thing".to_owned(),
                    price: price.clone().map(|amount: Money| catalog::Price {
                        market: request.market.clone(),
                        amount: Some(amount),
                        valid_from: None,
                        price_version: 2,
                    }),
                }),
            };
            request.skus.iter().map(result).collect()
        });
        Box::pin(async move { Ok(catalog::BatchGetVariantsResponse { results }) })
    }

    never_called! {
        put_product(catalog::PutProductRequest) -> catalog::PutProductResponse;
        publish_product(catalog::PublishProductRequest) -> catalog::PublishProductResponse;
        unpublish_product(catalog::UnpublishProductRequest) -> catalog::UnpublishProductResponse;
        archive_product(catalog::ArchiveProductRequest) -> catalog::ArchiveProductResponse;
        set_price(catalog::SetPriceRequest) -> catalog::SetPriceResponse;
        get_product(catalog::GetProductRequest) -> catalog::GetProductResponse;
        list_products(catalog::ListProductsRequest) -> catalog::ListProductsResponse;
        search_products(catalog::SearchProductsRequest) -> catalog::SearchProductsResponse;
        list_categories(catalog::ListCategoriesRequest) -> catalog::ListCategoriesResponse;
        list_prices(catalog::ListPricesRequest) -> catalog::ListPricesResponse;
        create_promotion(catalog::CreatePromotionRequest) -> catalog::CreatePromotionResponse;
        get_promotion(catalog::GetPromotionRequest) -> catalog::GetPromotionResponse;
        list_promotions(catalog::ListPromotionsRequest) -> catalog::ListPromotionsResponse;
        disable_promotion(catalog::DisablePromotionRequest) -> catalog::DisablePromotionResponse;
        validate_coupon(catalog::ValidateCouponRequest) -> catalog::ValidateCouponResponse;
        put_tax_zone(catalog::PutTaxZoneRequest) -> catalog::PutTaxZoneResponse;
        list_tax_zones(catalog::ListTaxZonesRequest) -> catalog::ListTaxZonesResponse;
    }
}

impl Books {
    fn label(&self, return_id: &str) -> Option<shipping::ReturnLabel> {
        use shipping::ReturnLabelStatus as Status;
        let status = if self.labels[return_id] { Status::Bought } else { Status::Voided };
        Some(shipping::ReturnLabel {
            return_id: return_id.to_owned(),
            status: status.into(),
            carrier: "swift".to_owned(),
            tracking_code: "BACK-1".to_owned(),
            ..shipping::ReturnLabel::default()
        })
    }
}

impl Floor {
    fn message(&self, order_id: &str) -> shipping::Fulfilment {
        use shipping::FulfilmentStatus as Status;
        let status = match (self.is_cancelled, self.is_created) {
            (true, _) => Status::Cancelled,
            (false, true) => Status::Open,
            (false, false) => Status::Unspecified,
        };
        let held = self.holds.iter().any(|hold| !self.released_holds.contains(hold));
        shipping::Fulfilment {
            order_id: order_id.to_owned(),
            status: status.into(),
            held,
            ..shipping::Fulfilment::default()
        }
    }
}

impl shipping::ShippingService for World {
    /// Rate `rte_1` costs 3.00 and holds until second 2,000; `rte_fr` is another market's.
    fn get_rate(&self, _: Cx, request: shipping::GetRateRequest) -> Answer<shipping::GetRateResponse> {
        Box::pin(async move {
            let market = match request.rate_id.as_str() {
                "rte_1" => "GB",
                "rte_fr" => "FR",
                _ => return Err(Error::not_found("the rate")),
            };
            let rate = shipping::Rate {
                rate_id: request.rate_id,
                service: "standard".to_owned(),
                price: Some(gbp(300)),
                country: "GB".to_owned(),
                expires_at: Some(souk_rpc::time::to_proto(souk_kernel::Timestamp::from_unix_s(2_000))),
                market: market.to_owned(),
                ..shipping::Rate::default()
            };
            Ok(shipping::GetRateResponse { rate: Some(rate) })
        })
    }

    fn create_fulfilment(
        &self,
        _: Cx,
        request: shipping::CreateFulfilmentRequest,
    ) -> Answer<shipping::CreateFulfilmentResponse> {
        self.carry("create_fulfilment", move |books| {
            let floor = books.fulfilments.entry(request.order_id.clone()).or_default();
            if !floor.is_created && !floor.is_cancelled {
                floor.is_created = true;
                floor.lines.clone_from(&request.lines);
            }
            let fulfilment = Some(floor.message(&request.order_id));
            Ok(shipping::CreateFulfilmentResponse { fulfilment })
        })
    }

    fn cancel_fulfilment(
        &self,
        _: Cx,
        request: shipping::CancelFulfilmentRequest,
    ) -> Answer<shipping::CancelFulfilmentResponse> {
        self.carry("cancel_fulfilment", move |books| {
            let floor = books.fulfilments.entry(request.order_id.clone()).or_default();
            let has_left = floor.has_left;
            let works = *floor.cancels.entry(request.cancel_id.clone()).or_insert(!has_left);
            if works && request.lines.is_empty() {
                floor.is_cancelled = true;
            }
            let outcome =
                if works { shipping::CancelOutcome::Cancelled } else { shipping::CancelOutcome::TooLate };
            let fulfilment = Some(floor.message(&request.order_id));
            Ok(shipping::CancelFulfilmentResponse { fulfilment, outcome: outcome.into() })
        })
    }

    fn hold_fulfilment(
        &self,
        _: Cx,
        request: shipping::HoldFulfilmentRequest,
    ) -> Answer<shipping::HoldFulfilmentResponse> {
        self.carry("hold_fulfilment", move |books| {
            let floor = books.fulfilments.entry(request.order_id.clone()).or_default();
            floor.holds.insert(request.hold_id.clone());
            Ok(shipping::HoldFulfilmentResponse { fulfilment: Some(floor.message(&request.order_id)) })
        })
    }

    fn release_hold(
        &self,
        _: Cx,
        request: shipping::ReleaseHoldRequest,
    ) -> Answer<shipping::ReleaseHoldResponse> {
        self.carry("release_fulfilment", move |books| {
            let floor = books.fulfilments.entry(request.order_id.clone()).or_default();
            floor.released_holds.insert(request.hold_id.clone());
            Ok(shipping::ReleaseHoldResponse { fulfilment: Some(floor.message(&request.order_id)) })
        })
    }

    fn create_return_label(
        &self,
        _: Cx,
        request: shipping::CreateReturnLabelRequest,
    ) -> Answer<shipping::CreateReturnLabelResponse> {
        self.carry("create_return_label", move |books| {
            books.labels.entry(request.return_id.clone()).or_insert(true);
            Ok(shipping::CreateReturnLabelResponse { label: books.label(&request.return_id) })
        })
    }

    fn void_return_label(
        &self,
        _: Cx,
        request: shipping::VoidReturnLabelRequest,
    ) -> Answer<shipping::VoidReturnLabelResponse> {
        self.carry("void_return_label", move |books| {
            books.labels.insert(request.return_id.clone(), false);
            Ok(shipping::VoidReturnLabelResponse { label: books.label(&request.return_id) })
        })
    }

    never_called! {
        validate_address(shipping::ValidateAddressRequest) -> shipping::ValidateAddressResponse;
        quote_rates(shipping::QuoteRatesRequest) -> shipping::QuoteRatesResponse;
        get_fulfilment(shipping::GetFulfilmentRequest) -> shipping::GetFulfilmentResponse;
        list_shipments(shipping::ListShipmentsRequest) -> shipping::ListShipmentsResponse;
        get_shipment(shipping::GetShipmentRequest) -> shipping::GetShipmentResponse;
        track(shipping::TrackRequest) -> Stream<shipping::TrackResponse>;
        mark_packed(shipping::MarkPackedRequest) -> shipping::MarkPackedResponse;
        buy_label(shipping::BuyLabelRequest) -> shipping::BuyLabelResponse;
        hand_over(shipping::HandOverRequest) -> shipping::HandOverResponse;
        handle_carrier_webhook(shipping::HandleCarrierWebhookRequest) -> shipping::HandleCarrierWebhookResponse;
    }
}
